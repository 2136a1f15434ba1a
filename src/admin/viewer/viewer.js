// What the pages do beyond being read: live calls, forms without a reload, times of the reader's zone, keys, copying.
// Every text is set as text, never as markup; every request goes to where the page came from.
'use strict';

const one = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// ---- texts -------------------------------------------------------------------------------------------------------------

// Controls, direction marks and what nobody sees: shown as escapes, as the server does.
const ODD = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/u;

function setText(node, text) {
  const shown = document.createElement('bdi');
  for (const letter of String(text)) {
    if (!ODD.test(letter)) {
      shown.append(letter);
      continue;
    }
    const escape = document.createElement('span');
    escape.className = 'esc';
    escape.textContent = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }[letter] ?? `\\u{${letter.codePointAt(0).toString(16)}}`;
    shown.append(escape);
  }
  shown.normalize();
  node.replaceChildren(shown);
}

function cut(text, most) {
  return text.length > most ? `${[...text].slice(0, most).join('')}…` : text;
}

function span(us) {
  if (us < 1e3) return `${us} µs`;
  if (us < 1e5) return `${(us / 1e3).toFixed(1)} ms`;
  if (us < 1e6) return `${(us / 1e3).toFixed(0)} ms`;
  return `${(us / 1e6).toFixed(2)} s`;
}

// ---- times of the reader's zone ----------------------------------------------------------------------------------------

const pad = (value) => String(value).padStart(2, '0');

function localTime(node) {
  const time = new Date(node.dateTime);
  if (Number.isNaN(time.getTime())) return;
  const clock = `${pad(time.getHours())}:${pad(time.getMinutes())}:${pad(time.getSeconds())}`;
  const day = `${time.getFullYear()}-${pad(time.getMonth() + 1)}-${pad(time.getDate())}`;
  const today = new Date().toDateString() === time.toDateString();
  node.textContent = node.dataset.form === 'clock' && today ? clock : `${day} ${clock}`;
}

function localTimes(within) {
  all('time[data-form]', within).forEach(localTime);
}

function tellZone() {
  const zone = one('#zone');
  if (zone) zone.textContent = `Times are those of ${Intl.DateTimeFormat().resolvedOptions().timeZone}.`;
}

// ---- copying -----------------------------------------------------------------------------------------------------------

function addCopyButtons(within) {
  if (!navigator.clipboard) return;
  for (const node of all('code[data-copy]', within)) {
    if (node.nextElementSibling?.classList.contains('copy')) continue;
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'copy';
    button.textContent = 'Copy';
    button.setAttribute('aria-label', `Copy ${cut(node.textContent, 60)}`);
    button.addEventListener('click', async () => {
      await navigator.clipboard.writeText(node.textContent);
      button.textContent = 'Copied';
      setTimeout(() => { button.textContent = 'Copy'; }, 1500);
    });
    node.after(button);
  }
}

// ---- parts of a page that are replaced without a reload ------------------------------------------------------------------

function enrich(within) {
  localTimes(within);
  addCopyButtons(within);
  scrollLines(within);
}

async function replaceFrom(response, selector) {
  const page = new DOMParser().parseFromString(await response.text(), 'text/html');
  const fresh = one(selector, page);
  const old = one(selector);
  if (!fresh || !old) return false;
  old.replaceWith(document.adoptNode(fresh));
  enrich(fresh);
  return fresh;
}

// A form with data-swap is sent in the background; the part of the answer that it names takes the place of this page's.
async function swap(event) {
  const form = event.target;
  const selector = form.dataset.swap;
  if (!selector) return;
  event.preventDefault();
  const body = new URLSearchParams(new FormData(form, event.submitter));
  // What is chosen here is meant: see editedRuns.
  body.set('scripted', '1');
  const buttons = all('button', form);
  buttons.forEach((button) => { button.disabled = true; });
  one(selector)?.setAttribute('aria-busy', 'true');
  try {
    const response = await fetch(event.submitter?.getAttribute('formaction') ?? form.action, { method: 'POST', body });
    const fresh = response.status === 401 ? null : await replaceFrom(response, selector);
    if (fresh) {
      fresh.tabIndex = -1;
      fresh.focus();
    } else if (response.status === 401) {
      tell(selector, 'Your session has ended. What you wrote is still here: sign in in another tab, then try again.', '/login');
    } else {
      tell(selector, `The gateway answered ${response.status}. Load the page again to see why.`);
    }
  } catch {
    tell(selector, 'The gateway cannot be reached. What you wrote is still here: try again.');
  } finally {
    buttons.forEach((button) => { button.disabled = false; });
    one(selector)?.removeAttribute('aria-busy');
  }
}

function tell(selector, text, address) {
  const place = one(selector);
  if (!place) return;
  one('.told', place)?.remove();
  const note = document.createElement('p');
  note.className = 'told badge bad';
  note.setAttribute('role', 'alert');
  say(note, text, address);
  place.prepend(note);
}

// A sentence, and where somebody can sign in without losing this page.
function say(node, text, address) {
  node.textContent = text;
  if (!address) return;
  const link = document.createElement('a');
  link.href = address;
  link.target = '_blank';
  link.rel = 'noopener';
  link.textContent = 'Sign in';
  node.append(' ', link);
}

// A part with data-refresh is asked for again every so many seconds, while somebody looks and nothing in it has the focus.
function refresh() {
  const part = one('[data-refresh]');
  if (!part) return;
  setInterval(async () => {
    const place = one('[data-refresh]');
    if (document.hidden || !within || place.contains(document.activeElement)) return;
    try {
      const response = await fetch(location.href, { redirect: 'error', signal: AbortSignal.timeout(PATIENCE) });
      if (response.ok) await replaceFrom(response, '[data-refresh]');
    } catch { /* the pulse says so */ }
  }, Number(part.dataset.refresh) * 1000);
}

// ---- whether what stands here is still true --------------------------------------------------------------------------------

const PULSE = 1000;
const PATIENCE = 1500;

// Whether the gateway answers us, as far as the last pulse knows.
let within = true;

// Asks for the parts of the frame that change by themselves. A page that nobody looks at asks when somebody does again.
async function pulse() {
  if (document.hidden || !one('#gone')) return;
  let response;
  try {
    response = await fetch('/pulse', { headers: { accept: 'application/json' }, signal: AbortSignal.timeout(PATIENCE) });
  } catch {
    lost('The gateway cannot be reached: what stands here is of before.');
    return;
  }
  if (response.status === 401) {
    lost('Your session has ended: what stands here is of before.', '/login');
  } else if (!response.ok) {
    lost(`The gateway answers ${response.status}: what stands here is of before.`);
  } else {
    await found(response);
  }
}

function lost(text, address) {
  const note = one('#gone');
  if (within || note.firstChild?.textContent !== text) say(note, text, address);
  note.hidden = false;
  within = false;
  all('[data-now]').forEach((badge) => {
    badge.textContent = 'not known';
    badge.className = 'badge warn';
  });
  document.dispatchEvent(new Event('lost'));
}

async function found(response) {
  const page = new DOMParser().parseFromString(await response.text(), 'text/html');
  for (const selector of ['#troubles', '#dead', '#release']) {
    const [fresh, old] = [one(selector, page), one(selector)];
    if (fresh && old && fresh.outerHTML !== old.outerHTML) old.replaceWith(document.adoptNode(fresh));
  }
  one('#gone').hidden = true;
  within = true;
}

function pulses() {
  const again = async () => {
    await pulse();
    setTimeout(again, PULSE);
  };
  setTimeout(again, PULSE);
  document.addEventListener('visibilitychange', () => { if (!document.hidden) pulse(); });
}

// ---- live calls --------------------------------------------------------------------------------------------------------

const MOST_ROWS = 200;
const MOST_PER_BATCH = 50;

class LiveList {
  constructor() {
    this.template = one('#row');
    this.form = one('#filters');
    this.state = one('#live-state');
    this.dot = one('#live-dot');
    this.news = one('#live-news');
    this.pauseButton = one('#pause');
    this.held = [];
    this.paused = false;
    this.untold = 0;
    this.begin();
    this.pauseButton.hidden = false;
    this.pauseButton.addEventListener('click', () => this.toggle());
    setInterval(() => this.announce(), 5000);
    this.connect();
  }

  // Goes on with the rows that stand there now.
  begin() {
    this.body = one('#calls tbody');
    this.known = new Set(all('tr[data-id]', this.body).map((row) => row.dataset.id));
  }

  connect() {
    const source = new EventSource('/api/v1/live');
    const show = (text, on) => {
      this.state.textContent = text;
      this.dot.className = `dot ${on ? 'on' : 'off'}`;
    };
    source.addEventListener('open', () => show('Live', true));
    source.addEventListener('error', () => {
      const closed = source.readyState === EventSource.CLOSED;
      show(closed ? 'Not live: load the page again' : 'Trying to reach the gateway…', false);
    });
    document.addEventListener('lost', () => show('Trying to reach the gateway…', false));
    source.addEventListener('decisions', (event) => this.take(JSON.parse(event.data).decisions));
    source.addEventListener('lagged', () => show('Live, with gaps: more happens than fits here', true));
  }

  take(records) {
    if (this.paused) {
      this.held.push(...records);
      this.held.splice(0, Math.max(0, this.held.length - MOST_ROWS));
      this.tellPaused();
      return;
    }
    this.show(records);
  }

  show(records) {
    const rows = [];
    for (const record of records.slice(-MOST_PER_BATCH)) {
      if (this.known.has(record.id)) continue;
      this.known.add(record.id);
      if (!this.matches(record)) continue;
      this.untold += 1;
      rows.unshift(this.row(record));
    }
    if (!rows.length) return;
    this.body.prepend(...rows);
    one('#nothing')?.remove();
    one('#calls').hidden = false;
    for (const row of [...this.body.rows].slice(MOST_ROWS)) {
      this.known.delete(row.dataset.id);
      row.remove();
    }
  }

  row(record) {
    const row = this.template.content.firstElementChild.cloneNode(true);
    const slot = (name) => one(`[data-slot=${name}]`, row);
    row.classList.add('new');
    row.dataset.id = record.id;
    const { id, login } = record.subject ?? {};
    const time = slot('time');
    time.dateTime = time.title = record.time;
    localTime(time);
    const badge = slot('outcome');
    badge.className = `badge ${one(`#tones [data-word="${CSS.escape(record.outcome)}"]`)?.dataset.tone ?? ''}`;
    setText(badge, record.outcome);
    setText(slot('route'), record.rule ? `${record.route} / ${record.rule}` : record.route || '—');
    setText(slot('who'), cut(login ?? id ?? '', 80));
    const link = slot('why');
    link.href = `/decisions/${encodeURIComponent(record.id)}`;
    setText(link, cut(record.headline, 200));
    slot('took').textContent = span(record.total_us);
    return row;
  }

  // As the server searches.
  matches(record) {
    const wanted = (name) => this.form?.elements[name]?.value ?? '';
    const text = wanted('find').trim().toLowerCase();
    const { id, login } = record.subject ?? {};
    const said = [record.id, record.route, record.outcome, record.event_id, record.request_id, record.trace_id, id, login,
      record.rule, record.event_type, record.script, record.headline];
    return (!wanted('route') || record.route === wanted('route'))
      && (!wanted('outcome') || record.outcome === wanted('outcome'))
      && (!text || said.some((part) => part?.toLowerCase().includes(text)));
  }

  toggle() {
    this.paused = !this.paused;
    this.pauseButton.setAttribute('aria-pressed', String(this.paused));
    this.pauseButton.textContent = this.paused ? 'Go on' : 'Pause';
    if (this.paused) {
      this.tellPaused();
      return;
    }
    this.news.textContent = '';
    this.show(this.held.splice(0));
  }

  tellPaused() {
    const many = this.held.length === MOST_ROWS ? `${MOST_ROWS} or more` : this.held.length;
    this.news.textContent = this.held.length ? `Paused; ${many} new since.` : 'Paused.';
  }

  // One sentence every few seconds: a screen reader must not hear every call.
  announce() {
    if (this.paused || !this.untold) return;
    this.news.textContent = this.untold === 1 ? 'One new call.' : `${this.untold} new calls.`;
    this.untold = 0;
  }
}

// ---- the search through calls ----------------------------------------------------------------------------------------------

// While somebody writes, the answer of the server takes the place of the list, and the address says what was asked for: what
// stands there is what Enter would show.
class Search {
  constructor(form, live) {
    this.form = form;
    this.live = live;
    this.asked = 0;
    form.addEventListener('input', () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.ask(), 250);
    });
  }

  async ask() {
    this.asked += 1;
    const turn = this.asked;
    const wanted = new URLSearchParams([...new FormData(this.form)].filter(([, value]) => value.trim()));
    const address = wanted.size ? `/?${wanted}` : '/';
    let page;
    try {
      const response = await fetch(address, { redirect: 'error' });
      page = new DOMParser().parseFromString(await response.text(), 'text/html');
    } catch {
      return; // the pulse says so
    }
    // Somebody went on writing.
    if (turn !== this.asked) return;
    const [fresh, old] = [one('#found', page), one('#found')];
    if (!fresh || Boolean(one('#calls', fresh)) !== Boolean(this.live)) {
      location.assign(address);
      return;
    }
    old.replaceWith(document.adoptNode(fresh));
    enrich(fresh);
    history.replaceState(null, '', address);
    this.live?.begin();
    const shown = all('tbody tr', fresh).length;
    one('#live-news').textContent = shown === 1 ? 'One call found.' : `${shown}${one('.more', fresh) ? ' or more' : ''} calls found.`;
  }
}

// ---- times that somebody writes ----------------------------------------------------------------------------------------------

// Times are written as pages print them, in the reader's zone; what is sent is exact.
function timeFields() {
  for (const field of all('input[name="since"], input[name="until"]')) {
    const time = new Date(field.value);
    if (/^\d{4}-\d\d-\d\dT/.test(field.value) && !Number.isNaN(time.getTime())) {
      field.value = `${time.getFullYear()}-${pad(time.getMonth() + 1)}-${pad(time.getDate())} ${pad(time.getHours())}:${pad(time.getMinutes())}:${pad(time.getSeconds())}`;
    }
    field.form?.addEventListener('formdata', (event) => {
      const exact = exactTime(event.formData.get(field.name));
      if (exact) event.formData.set(field.name, exact);
    });
  }
}

function exactTime(written) {
  const match = /^(?:(\d{4}-\d\d-\d\d)[ T])?(\d\d:\d\d(?::\d\d)?)$/.exec((written ?? '').trim());
  if (!match) return null;
  const now = new Date();
  const today = `${now.getFullYear()}-${pad(now.getMonth() + 1)}-${pad(now.getDate())}`;
  const time = new Date(`${match[1] ?? today}T${match[2]}`);
  if (Number.isNaN(time.getTime())) return null;
  if (!match[1] && time > now) time.setDate(time.getDate() - 1);
  return time.toISOString();
}

// ---- lines of scripts --------------------------------------------------------------------------------------------------------

// A box with lines shows the one that failed, else the last one that ran.
function scrollLines(within) {
  for (const box of all('.code', within)) {
    const line = one('tr.failed', box) ?? all('tr.ran', box).at(-1);
    if (line) box.scrollTop = Math.max(0, line.offsetTop - box.clientHeight / 2);
  }
}

// Who changes the script wants that one to run.
function editedRuns(event) {
  if (!event.target.matches('textarea[name="script"]')) return;
  const choice = one('input[name="against"][value="edited"]', event.target.form);
  if (choice) choice.checked = true;
}

// ---- keys --------------------------------------------------------------------------------------------------------------

function keysAreOn() {
  try { return localStorage.getItem('keys') !== 'off'; } catch { return true; }
}

function move(step) {
  const links = all('table.rows tbody tr:not([hidden]) a');
  const now = links.indexOf(document.activeElement);
  links[Math.min(links.length - 1, Math.max(0, now + step))]?.focus();
}

function keys() {
  const dialog = one('#keys');
  const help = one('#help');
  if (!dialog || !help) return;
  help.hidden = false;
  help.addEventListener('click', () => dialog.showModal());
  const box = one('#keys-on');
  box.checked = keysAreOn();
  box.addEventListener('change', () => {
    try { localStorage.setItem('keys', box.checked ? 'on' : 'off'); } catch { /* for this page only */ }
  });
  document.addEventListener('keydown', (event) => {
    const writing = event.target.closest('input, select, textarea, [contenteditable], dialog');
    if (writing || event.ctrlKey || event.altKey || event.metaKey || !box.checked) return;
    const search = one('[data-key-search]');
    const what = { '/': search && (() => search.focus()), p: () => one('#pause:not([hidden])')?.click(), j: () => move(1), k: () => move(-1), '?': () => dialog.showModal() }[event.key];
    if (!what) return;
    event.preventDefault();
    what();
  });
}

// ---- choosing many -------------------------------------------------------------------------------------------------------

function chooseAll(event) {
  if (!event.target.matches('input[type="checkbox"]')) return;
  const name = event.target.dataset.all;
  if (name) all(`input[name="${name}"]`).forEach((box) => { box.checked = event.target.checked; });
  needChoice();
}

// What acts on chosen rows rests while none is chosen. The server says the same to who has no script.
function needChoice() {
  all('button[data-chosen]').forEach((button) => {
    button.disabled = !one(`input[name="${button.dataset.chosen}"]:checked`);
  });
}

// ------------------------------------------------------------------------------------------------------------------------

document.addEventListener('submit', swap);
document.addEventListener('change', chooseAll);
needChoice();
tellZone();
enrich(document);
keys();
refresh();
pulses();
timeFields();
document.addEventListener('input', editedRuns);
const live = one('#calls') ? new LiveList() : null;
if (live || one('#found')) new Search(one('#filters'), live);

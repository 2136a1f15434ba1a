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
  const buttons = all('button', form);
  buttons.forEach((button) => { button.disabled = true; });
  one(selector)?.setAttribute('aria-busy', 'true');
  try {
    const response = await fetch(event.submitter?.getAttribute('formaction') ?? form.action, { method: 'POST', body });
    const fresh = await replaceFrom(response, selector);
    if (fresh) {
      fresh.tabIndex = -1;
      fresh.focus();
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

function tell(selector, text) {
  const place = one(selector);
  if (!place) return;
  const note = document.createElement('p');
  note.setAttribute('role', 'alert');
  note.textContent = text;
  place.prepend(note);
}

// A part with data-refresh is asked for again every so many seconds, while somebody looks and nothing in it has the focus.
function refresh() {
  const part = one('[data-refresh]');
  if (!part) return;
  setInterval(async () => {
    const place = one('[data-refresh]');
    if (document.hidden || place.contains(document.activeElement)) return;
    try {
      const response = await fetch(location.href);
      if (response.ok) await replaceFrom(response, '[data-refresh]');
    } catch { /* the next round tries again */ }
  }, Number(part.dataset.refresh) * 1000);
}

// ---- live calls --------------------------------------------------------------------------------------------------------

const MOST_ROWS = 200;
const MOST_PER_BATCH = 50;

class LiveList {
  constructor(list) {
    this.body = one('tbody', list);
    this.template = one('#row');
    this.form = one('#filters');
    this.state = one('#live-state');
    this.dot = one('#live-dot');
    this.news = one('#live-news');
    this.pauseButton = one('#pause');
    this.held = [];
    this.paused = false;
    this.untold = 0;
    this.known = new Set(all('tr[data-id]', this.body).map((row) => row.dataset.id));
    this.pauseButton.hidden = false;
    this.pauseButton.addEventListener('click', () => this.toggle());
    this.form?.addEventListener('input', () => this.filterRows());
    setInterval(() => this.announce(), 5000);
    this.connect();
  }

  connect() {
    const source = new EventSource('/api/v1/live');
    const say = (text, on) => {
      this.state.textContent = text;
      this.dot.className = `dot ${on ? 'on' : 'off'}`;
    };
    source.addEventListener('open', () => say('Live', true));
    source.addEventListener('error', () => {
      const closed = source.readyState === EventSource.CLOSED;
      say(closed ? 'Not live: load the page again' : 'Trying to reach the gateway…', false);
    });
    source.addEventListener('decisions', (event) => this.take(JSON.parse(event.data).decisions));
    source.addEventListener('lagged', () => say('Live, with gaps: more happens than fits here', true));
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
      const row = this.row(record);
      row.hidden = !this.matches(row);
      if (!row.hidden) this.untold += 1;
      rows.unshift(row);
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
    row.dataset.route = record.route;
    row.dataset.outcome = record.outcome;
    const { id, login } = record.subject ?? {};
    row.dataset.find = [record.id, record.event_id, record.request_id, record.trace_id, id, login]
      .filter(Boolean).join(' ').toLowerCase();
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
    setText(link, cut(this.why(record), 200));
    slot('took').textContent = span(record.total_us);
    return row;
  }

  why(record) {
    if (['failed', 'refused'].includes(record.outcome)) return record.why;
    return record.reason ?? record.effect ?? record.event_type ?? record.outcome;
  }

  matches(row) {
    const wanted = (name) => this.form?.elements[name]?.value ?? '';
    const text = wanted('find').trim().toLowerCase();
    return (!wanted('route') || row.dataset.route === wanted('route'))
      && (!wanted('outcome') || row.dataset.outcome === wanted('outcome'))
      && (!text || row.dataset.find.includes(text) || row.textContent.toLowerCase().includes(text));
  }

  filterRows() {
    let shown = 0;
    for (const row of this.body.rows) {
      row.hidden = !this.matches(row);
      shown += row.hidden ? 0 : 1;
    }
    this.news.textContent = shown ? `${shown} of the calls here match.` : 'None of the calls here match. Search looks through all that are kept.';
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
  if (!event.target.matches('input[data-all]')) return;
  all(`input[name="${event.target.dataset.all}"]`).forEach((box) => { box.checked = event.target.checked; });
}

// ------------------------------------------------------------------------------------------------------------------------

document.addEventListener('submit', swap);
document.addEventListener('change', chooseAll);
tellZone();
enrich(document);
keys();
refresh();
const list = one('#calls');
if (list) new LiveList(list);

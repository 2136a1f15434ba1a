// The viewer in a browser, against the real program: `npm ci`, then `node --test run.mjs`. UPDATE=1 writes docs/images.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { DESKTOP, Browser, PHONE, accessible, fits, picture } from './browser.mjs';
import { Gateway, sleep, until } from './gateway.mjs';

const LIVE_MS = 500;
/** Pages whose pictures are in the documents; others are looked at and not kept. */
const PICTURED = new Set(['calls', 'call', 'events', 'dead-letters', 'releases', 'health']);
const HOSTILE = '<script>document.title="owned"</script><img src=x onerror=alert(1)>\u202egnp.exe \u001b[31mred\u0007 \u200bzero';

let browser;
before(async () => { browser = await Browser.start(); });
after(async () => { await browser?.stop(); });

describe('an operator on this machine', () => {
  let gateway;
  let ann;

  before(async () => {
    gateway = await Gateway.start();
    gateway.desk.status = 422;
    await gateway.signUp({ email: 'bob@partner.example', firstName: 'Bob' });
    await gateway.failingToken();
    ann = await gateway.signUp({ email: 'ann@customer.example' });
    await gateway.deliver(['group.user_membership.add', 'user.session.start', 'group.user_membership.add']);
    await until('two dead letters', async () => (await status()).queue.dead === 2);
    await until('all calls are kept', async () => (await list('/')).length >= 6);
  });
  after(async () => { await gateway?.stop(); });

  const status = async () => (await fetch(`${gateway.admin}/api/v1/status`)).json();
  /** The ids of the decisions in a list, as a reader without a script gets it. */
  const list = async (path) => {
    const page = await (await fetch(gateway.admin + path)).text();
    return [...page.matchAll(/<tr data-id="([^"]+)"/g)].map((match) => match[1]);
  };
  const withPage = async (options, work) => {
    const page = await browser.page(gateway.admin, options);
    try {
      await work(page);
    } catch (error) {
      error.message += `\nat ${page.url()}, where was also wrong: ${page.wrongs.join('; ') || 'nothing'}`;
      throw error;
    }
    await page.close_();
  };

  /** Every page, with its name and address. */
  const pages = async () => {
    const [call] = await list(`/?find=${ann.eventId}`);
    const running = (await status()).release.running;
    return [
      ['calls', '/'], ['call', `/decisions/${call}`], ['events', '/events'], ['event', '/events/1'],
      ['dead-letters', '/dead-letters'], ['replay', '/dead-letters/replay?all=1'], ['releases', '/releases'],
      ['release', `/releases/${running}`], ['health', '/health'], ['routes', '/routes'], ['tables', '/tables'], ['changes', '/changes'],
    ];
  };

  for (const scheme of ['light', 'dark']) {
    for (const [device, size] of [['desktop', DESKTOP], ['phone', PHONE]]) {
      test(`every page is whole, accessible and fits: ${scheme}, ${device}`, { timeout: 120_000 }, async () => {
        await withPage({ scheme, size }, async (page) => {
          for (const [name, path] of await pages()) {
            const response = await page.at(path);
            assert.equal(response.status(), 200, name);
            assert.equal(await page.locator('h1').count(), 1, `${name} has one heading`);
            assert.ok((await page.title()).endsWith(' · hookgate'), name);
            if (name === 'calls') await page.getByText('Live', { exact: true }).waitFor();
            await accessible(page, `${name}, ${scheme}, ${device}`);
            await fits(page, `${name} on a ${device}`);
            if (PICTURED.has(name)) await picture(page, `${name}-${device}-${scheme}`);
          }
        });
      });
    }
  }

  test('everything can be read without a script', async () => {
    await withPage({ script: false }, async (page) => {
      for (const [name, path] of await pages()) assert.equal((await page.at(path)).status(), 200, name);
      await page.at('/');
      await page.getByLabel('Search').fill('ann@customer.example');
      await page.getByRole('button', { name: 'Search' }).click();
      assert.equal(await page.locator('tbody tr').count(), 1);
      await page.locator('tbody tr a').click();
      await page.getByText('is in the table of blocked domains').first().waitFor();
    });
  });

  test('a call is in the list within half a second', async () => {
    await withPage({}, async (page) => {
      await page.at('/');
      await page.getByText('Live', { exact: true }).waitFor();
      for (const name of ['carol', 'dave', 'erin']) {
        const from = Date.now();
        await gateway.signUp({ email: `${name}@partner.example` });
        await page.getByText(`${name}@partner.example`).first().waitFor();
        const took = Date.now() - from;
        assert.ok(took < LIVE_MS, `${name} was in the list after ${took} ms`);
      }
      const newest = page.locator('tbody tr').first();
      assert.match(await newest.textContent(), /erin@partner\.example/);
      assert.match(await newest.locator('a').getAttribute('href'), /^\/decisions\//);
    });
  });

  test('the list is filtered as one types, by route, outcome and text', async () => {
    await withPage({}, async (page) => {
      await page.at('/');
      const rows = page.locator('tbody tr:visible');
      const all = await rows.count();
      // The address says which answer stands there.
      const only = (asked, text) => until(`only rows with ${text}`, async () => {
        const shown = await rows.allTextContents();
        return new URL(page.url()).search === asked && shown.length > 0 && shown.every((row) => row.includes(text));
      });
      await page.getByLabel('Route').selectOption('tokens');
      await only('?route=tokens', 'tokens');
      assert.match(await rows.first().textContent(), /failed/);
      await page.getByLabel('Route').selectOption('');
      await page.getByLabel('Outcome').selectOption('denied');
      await only('?outcome=denied', 'ann@customer.example');
      await page.getByLabel('Outcome').selectOption('');
      const part = ann.eventId.slice(0, 13);
      await page.getByLabel('Search').fill(part);
      await only(`?find=${part}`, 'ann@customer.example');
      assert.equal(await rows.count(), 1);
      // What comes meanwhile and does not match is not shown, but is there.
      await gateway.signUp({ email: 'frank@partner.example' });
      await until('frank is kept', async () => (await list('/?find=frank@partner')).length === 1);
      assert.equal(await rows.count(), 1);
      await page.getByLabel('Search').fill('');
      await until('everything is shown again', async () => new URL(page.url()).search === '' && await rows.count() > all);
      await page.getByText('frank@partner.example').first().waitFor();
    });
  });

  test('calls are found by user, event, request and decision, and nothing else is', async () => {
    const [id] = await list(`/?find=${ann.eventId}`);
    for (const find of ['ann@customer.example', ann.eventId, ann.requestId, id]) {
      assert.deepEqual(await list(`/?find=${encodeURIComponent(find)}`), [id], find);
    }
    assert.deepEqual(await list('/?find=nobody@customer.example'), []);
    const wrong = await (await fetch(`${gateway.admin}/?since=yesterday`)).text();
    assert.match(wrong, /is neither a time/);
    assert.match(wrong, /role="alert"/);
  });

  test('a list that is paused keeps still, and shows what it held', async () => {
    await withPage({}, async (page) => {
      await page.at('/');
      await page.getByText('Live', { exact: true }).waitFor();
      await page.getByRole('button', { name: 'Pause' }).click();
      await gateway.signUp({ email: 'grace@partner.example' });
      await page.getByText('Paused; 1 new since.').waitFor();
      assert.equal(await page.getByText('grace@partner.example').count(), 0);
      await page.getByRole('button', { name: 'Go on' }).click();
      await page.getByText('grace@partner.example').first().waitFor();
    });
  });

  test('Ann could not register: three steps to the cause', async () => {
    await withPage({}, async (page) => {
      await page.at('/');
      await page.getByLabel('Search').fill('ann@customer.example');
      await page.getByRole('button', { name: 'Search' }).click();
      await page.getByText('is in the table of blocked domains').first().waitFor();
      await picture(page, 'why-1-search');
      await page.locator('tbody tr a').first().click();
      const heading = page.locator('h1');
      assert.match(await heading.textContent(), /denied.*customer\.example is in the table of blocked domains/s);
      await page.getByText('Deny, and say').waitFor();
      const ran = page.locator('.code tr.ran');
      assert.match((await ran.allTextContents()).join('\n'), /is in the table of blocked domains/);
      await picture(page, 'why-2-call', { height: 1_500 });
      const before = (await status()).release.running;
      await gateway.edit('tables/blocked.txt', (text) => text.replace('customer.example\n', ''));
      await until('the table is live', async () => (await status()).release.running !== before);
      await page.getByRole('button', { name: 'Run again' }).click();
      const tried = page.locator('#tried');
      await tried.getByText('Something else came of it').waitFor();
      assert.match((await tried.locator('.diff .add').allTextContents()).join('\n'), /ALLOW/);
      await tried.scrollIntoViewIfNeeded();
      await picture(page, 'why-3-run-again', { part: tried });
      await gateway.edit('tables/blocked.txt', (text) => `${text}customer.example\n`);
      await until('the table is as it was', async () => (await status()).release.running === before);
    });
  });

  test('strange texts are shown as text and harm nothing', async () => {
    const long = `${'x'.repeat(60_000)}@partner.example`;
    await gateway.signUp({ email: 'mallory@partner.example', login: HOSTILE, firstName: HOSTILE, lastName: long, [HOSTILE]: HOSTILE });
    const [id] = await until('it is kept', async () => {
      const found = await list(`/?find=${encodeURIComponent(HOSTILE)}`);
      const others = await list('/');
      return found.length ? found : others.slice(0, 1);
    });
    await withPage({ size: PHONE }, async (page) => {
      for (const path of ['/', `/decisions/${id}`]) {
        await page.at(path);
        await sleep(100);
        assert.ok((await page.title()).endsWith(' · hookgate'), 'no script of a stranger ran');
        assert.equal(await page.locator('img').count(), 0);
        const text = await page.locator('body').textContent();
        assert.ok(!/[\u202a-\u202e\u2066-\u2069\u001b\u0007\u200b]/.test(text), 'no control reaches the page');
        await fits(page, path);
      }
    });
  });

  test('a call is run again with another request and script, and saved as a test', async () => {
    const [id] = await list(`/?find=${ann.eventId}`);
    await withPage({}, async (page) => {
      await page.at(`/decisions/${id}`);
      await page.getByRole('button', { name: 'Run again' }).click();
      const tried = page.locator('#tried');
      await tried.getByText('The same came of it').waitFor();
      await tried.getByText('domain', { exact: true }).first().waitFor();
      const request = page.getByRole('textbox', { name: 'Request' });
      await request.fill((await request.inputValue()).replaceAll('ann@customer.example', 'ann@partner.example'));
      await page.getByRole('button', { name: 'Run again' }).click();
      await tried.getByText('What came of this request').waitFor();
      assert.equal(await tried.locator('.diff').count(), 0, 'two requests are not compared');
      await tried.getByText('ALLOW').first().waitFor();
      const script = page.getByRole('textbox', { name: 'Script' });
      await script.fill((await script.inputValue()).replace('"partner")', '"friend")'));
      assert.ok(await page.getByLabel('This script').isChecked(), 'what is edited runs');
      await page.getByRole('button', { name: 'Run again' }).click();
      await tried.getByText('friend').first().waitFor();
      await script.fill('fn on_registration(request) { nope( }');
      await page.getByRole('button', { name: 'Run again' }).click();
      await tried.getByText('cannot be run').first().waitFor();
      await page.getByLabel('What runs now').check();
      await page.getByRole('button', { name: 'Run again' }).click();
      await tried.getByText('What came of this request').waitFor();
      await page.getByLabel('Name of the test').fill('ann_of_a_partner');
      await page.getByRole('button', { name: 'Save as test' }).click();
      await page.getByText('ann_of_a_partner.json').first().waitFor();
    });
    const { code, text } = await gateway.run('test');
    assert.equal(code, 0, text);
    assert.match((await gateway.run('test', '--filter', 'ann_of_a_partner')).text, /1 passed/);
  });

  test('an event is run again with its own body', async () => {
    await withPage({}, async (page) => {
      await page.at('/?outcome=acted');
      await page.locator('tbody tr a').first().click();
      await page.getByText('The request below is the event as it was sent.').waitFor();
      const kept = JSON.parse(await page.getByRole('textbox', { name: 'Request' }).inputValue());
      assert.ok(kept.uuid && kept.eventType, 'it is the event');
      await page.getByRole('button', { name: 'Run again' }).click();
      await page.locator('#tried').getByText('The same came of it').waitFor();
      const text = await page.locator('main').textContent();
      assert.ok(!/everything stays as it is|capture = true/.test(text), text);
    });
  });

  test('what is written into the search is what Enter shows', async () => {
    await withPage({}, async (page) => {
      await page.at('/');
      await page.getByLabel('Search').fill('nn@customer.exam');
      await page.getByText('One call found.').waitFor();
      assert.equal(new URL(page.url()).searchParams.get('find'), 'nn@customer.exam');
      const written = await page.locator('tbody tr').evaluateAll((rows) => rows.map((row) => row.dataset.id));
      await page.getByLabel('Search').press('Enter');
      await page.getByText('ann@customer.example').first().waitFor();
      assert.deepEqual(await page.locator('tbody tr').evaluateAll((rows) => rows.map((row) => row.dataset.id)), written);
      const time = (await page.locator('tbody time').allTextContents()).at(-1);
      await page.at('/');
      await page.getByLabel('Since').fill(time);
      await page.getByRole('button', { name: 'Search' }).click();
      await page.getByText('ann@customer.example').first().waitFor();
      assert.equal(await page.getByLabel('Since').inputValue().then((value) => value.endsWith(time)), true, 'it reads as it was written');
    });
  });

  test('a page says within three seconds that the gateway is gone, and that it is back', async () => {
    await withPage({}, async (page) => {
      await page.at('/health');
      await page.getByText('ready', { exact: true }).waitFor();
      gateway.hold();
      try {
        await page.getByText('The gateway cannot be reached').waitFor({ timeout: 3_000 });
        await page.getByText('not known', { exact: true }).waitFor({ timeout: 100 });
      } finally {
        gateway.goOn();
      }
      await page.locator('#gone').waitFor({ state: 'hidden', timeout: 3_000 });
      await page.getByText('ready', { exact: true }).waitFor({ timeout: 3_000 });
      await gateway.edit('scripts/sessions.rhai', (text) => text.replace('log(', 'lgo('));
      await until('it is refused', async () => (await status()).release.state === 'refused');
      await page.getByText('What is on disk was refused').waitFor({ timeout: 3_000 });
      await gateway.edit('scripts/sessions.rhai', (text) => text.replace('lgo(', 'log('));
      await until('it is mended', async () => (await status()).release.state === 'current');
    });
  });

  test('who chooses no dead letter does nothing to any', async () => {
    await withPage({}, async (page) => {
      await page.at('/dead-letters?connector=desk');
      for (const name of ['Run the chosen ones again…', 'Remove the chosen ones…']) {
        assert.ok(await page.getByRole('button', { name }).isDisabled(), name);
      }
      await page.getByLabel(/^Choose event/).first().check();
      assert.ok(await page.getByRole('button', { name: 'Remove the chosen ones…' }).isEnabled());
      // As a browser without scripts sends it.
      const answer = await page.request.get(`${gateway.admin}/dead-letters/purge?connector=desk`);
      assert.equal(answer.status(), 400);
      assert.match(await answer.text(), /no event is chosen/);
      assert.equal((await status()).queue.dead, 2);
      await page.at('/dead-letters?connector=desk');
      await page.getByRole('link', { name: 'Remove all that match…' }).click();
      await page.getByText('of 2 events are removed, for good').waitFor();
      await page.getByText('with a job through `desk`').waitFor();
      await page.getByRole('heading', { name: 'Of these types' }).waitFor();
      await page.getByRole('link', { name: 'Leave everything as it is' }).click();
      assert.equal((await status()).queue.dead, 2);
    });
  });

  test('dead letters are replayed after the page said what will happen', async () => {
    await withPage({}, async (page) => {
      await page.at('/dead-letters');
      await page.getByLabel('Choose all on this page').check();
      await page.getByRole('button', { name: 'Run the chosen ones again…' }).click();
      await page.getByText('The dead jobs of 2 events run again').waitFor();
      await page.getByText('connector desk: 2 jobs').waitFor();
      gateway.desk.status = 200;
      await page.getByRole('button', { name: 'Run them again' }).click();
      await page.getByText('2 jobs put back').waitFor();
      await until('the desk has both', () => gateway.desk.taken.length === 2);
      assert.deepEqual(gateway.desk.taken[0].body, { user: '00uAnn', group: '00gStaff' });
      await until('no dead letter is left', async () => (await status()).queue.dead === 0);
      await page.at('/dead-letters');
      await page.getByText('No dead letter').waitFor();
    });
  });

  test('a bad release is told on every page, and a good one can be undone', async () => {
    const first = (await status()).release.running;
    await withPage({}, async (page) => {
      await gateway.edit('scripts/sessions.rhai', (text) => text.replace('log(', 'lgo('));
      await until('it is refused', async () => (await status()).release.state === 'refused');
      await page.at('/health');
      await page.getByRole('link', { name: 'Why' }).click();
      await page.getByText('scripts/sessions.rhai').first().waitFor();
      await gateway.edit('scripts/sessions.rhai', (text) => text.replace('lgo(', 'log(').replace('a session began', 'somebody came'));
      await until('it is live', async () => (await status()).release.running !== first);
      await page.at(`/releases/${first}`);
      await page.getByText('somebody came').first().waitFor();
      await page.getByRole('link', { name: 'Go back to this release…' }).click();
      await page.getByText('do not go live again until they change').waitFor();
      await page.getByRole('button', { name: 'Go back to' }).click();
      await page.getByText('is in force').first().waitFor();
      assert.equal((await status()).release.running, first);
      await page.at('/changes');
      await page.getByText('rolled back').first().waitFor();
    });
  });

  test('everything can be reached by keyboard', async () => {
    await withPage({}, async (page) => {
      await page.at('/');
      await page.keyboard.press('Tab');
      assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Skip to the content');
      await page.keyboard.press('Enter');
      await page.keyboard.press('/');
      assert.equal(await page.evaluate(() => document.activeElement.name), 'find');
      await page.keyboard.type('ann@customer.example');
      await page.keyboard.press('Enter');
      await page.getByText('Clear').waitFor();
      await page.locator('main').focus();
      await page.keyboard.press('j');
      const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
      assert.equal(outline, 'solid', 'where one is can be seen');
      await page.keyboard.press('Enter');
      await page.getByText('The lines that ran').waitFor();
      await page.keyboard.press('?');
      await page.getByRole('dialog').waitFor();
      await page.getByLabel('Single keys work').uncheck();
      await page.keyboard.press('Escape');
      await page.at('/');
      await page.keyboard.press('/');
      assert.notEqual(await page.evaluate(() => document.activeElement.name), 'find', 'keys that are off do nothing');
    });
  });
});

describe('with tokens', () => {
  let gateway;
  before(async () => {
    gateway = await Gateway.start('token = { file = "secrets/operator", create = true }\nread_token = { file = "secrets/reader", create = true }');
    await gateway.signUp({ email: 'ann@customer.example' });
  });
  after(async () => { await gateway?.stop(); });

  const signIn = async (page, token) => {
    await page.getByLabel('Token').fill(token);
    await page.getByRole('button', { name: 'Sign in' }).click();
  };

  test('a wrong token is refused, the right one leads to where one wanted to go, and one can leave', async () => {
    const page = await browser.page(gateway.admin);
    page.expected.push(/401/);
    await page.at('/events');
    await accessible(page, 'the form to sign in');
    await signIn(page, 'not the token');
    await page.getByText('That is not the token.').waitFor();
    await signIn(page, await gateway.secret('operator'));
    await page.getByRole('heading', { name: 'Events' }).waitFor();
    assert.ok(!(await page.evaluate(() => document.cookie)), 'no script sees the session');
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByLabel('Token').waitFor();
    await page.at('/');
    await page.getByLabel('Token').waitFor();
    await page.close_();
  });

  test('a reader sees no button that changes anything, and no body', async () => {
    const page = await browser.page(gateway.admin);
    await page.at('/');
    await signIn(page, await gateway.secret('reader'));
    await page.locator('tbody tr a').first().click();
    await page.getByText(/^Only an operator may see this \([0-9]+ bytes\)\.$/).waitFor();
    const text = await page.content();
    assert.ok(!text.includes('192.0.2.17'), 'nothing of the captured request');
    await page.at('/releases');
    await page.locator('tbody tr a').first().click();
    const table = page.locator('details', { hasText: /^blocked table, / }).first();
    await table.locator('summary').click();
    await table.getByText(/^Only an operator may see this/).waitFor();
    for (const path of ['/', '/events', '/dead-letters', '/releases', '/changes', '/health']) {
      await page.at(path);
      const buttons = await page.locator('main form[method=post] button, main a.button').count();
      assert.equal(buttons, 0, path);
    }
    page.expected.push(/403/);
    assert.equal((await page.at('/dead-letters/replay')).status(), 403);
    await page.close_();
  });
});

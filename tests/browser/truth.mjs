// What the pages say is true now: the end of a session, a pinned release, the time of fast calls, all mistakes at once; and what the
// page of a call says of fields, lines and saved failures.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Browser } from './browser.mjs';
import { Gateway, until } from './gateway.mjs';

let browser;
before(async () => { browser = await Browser.start(); });
after(async () => { await browser?.stop(); });

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../..');
const SOON = { timeout: 3_000 };

describe('on this machine', () => {
  let gateway;
  before(async () => { gateway = await Gateway.start(); });
  after(async () => { await gateway?.stop(); });

  const status = async () => (await fetch(`${gateway.admin}/api/v1/status`)).json();
  const found = (text) => until(`a call about ${text}`, async () => {
    const page = await (await fetch(`${gateway.admin}/?find=${encodeURIComponent(text)}`)).text();
    return /<tr data-id="([^"]+)"/.exec(page)?.[1];
  });

  test('the field of a denial is named also where it came from a variable', async () => {
    await gateway.signUp({ email: 'zoe@closed.example' });
    const page = await browser.page(gateway.admin);
    await page.at(`/decisions/${await found('zoe@closed.example')}`);
    assert.match(await page.locator('#did').locator('..').textContent(), /Deny because of a field.*field “login”|field “login”/s);
    assert.match(await page.locator('main .lead').first().textContent(), /closed for now.*at the field/s);
    await page.close_();
  });

  test('the box of lines shows the last line that ran', async () => {
    const long = (text) => text.replace('fn on_registration', `${'// a line that never runs\n'.repeat(80)}fn on_registration`);
    const before = (await status()).release.running;
    await gateway.edit('scripts/signup.rhai', long);
    await until('it is live', async () => (await status()).release.running !== before);
    await gateway.signUp({ email: 'yves@partner.example' });
    const page = await browser.page(gateway.admin);
    await page.at(`/decisions/${await found('yves@partner.example')}`);
    const [top, bottom, first, last] = await page.locator('.code').first().evaluate((box) => {
      const line = [...box.querySelectorAll('tr.ran')].at(-1).getBoundingClientRect();
      const { top, bottom } = box.getBoundingClientRect();
      return [top, bottom, line.top, line.bottom];
    });
    assert.ok(first >= top && last <= bottom, `the line is at ${first} to ${last}, the box at ${top} to ${bottom}`);
    assert.ok(await page.locator('.code').first().evaluate((box) => box.scrollTop > 0), 'the box is scrolled');
    await page.close_();
  });

  test('who saves a failure as a test is warned, and the test is marked', async () => {
    await gateway.failingToken();
    const page = await browser.page(gateway.admin);
    await page.at('/?outcome=failed');
    await page.locator('tbody tr a').first().click();
    // The call was not captured, so its request is the sample of the hook, whose app has a name.
    const request = page.getByRole('textbox', { name: 'Request' });
    const call = JSON.parse(await request.inputValue());
    delete call.data.context.protocol.client.name;
    await request.fill(JSON.stringify(call));
    await page.getByRole('button', { name: 'Run again' }).click();
    await page.getByText('Saved now, the test expects that failure').waitFor();
    await page.getByLabel('Name of the test').fill('without_a_name');
    await page.getByRole('button', { name: 'Save as test' }).click();
    await page.getByText('and the test expects that').waitFor();
    await page.close_();
    const saved = JSON.parse(await readFile(join(gateway.bundle, 'scripts/cases/token/without_a_name.json'), 'utf8'));
    assert.equal(saved.failed_when_saved, 'script_error');
    assert.match((await gateway.run('test', '--filter', 'without_a_name')).text, /marked .*saved from a call that failed \(script_error\)/);
  });

  test('mistakes of the configuration do not hide those of scripts', async () => {
    const [config, script] = ['gateway.toml', 'scripts/sessions.rhai'];
    await gateway.edit(config, (text) => text.replace('capture = true', 'captrue = true'));
    await gateway.edit(script, (text) => text.replace('log(', 'lgo('));
    await until('it is refused', async () => (await status()).release.state === 'refused');
    const page = await browser.page(gateway.admin);
    await page.at('/releases');
    await page.getByText('captrue').first().waitFor();
    await page.getByText('lgo').first().waitFor();
    await page.close_();
    await gateway.edit(config, (text) => text.replace('captrue = true', 'capture = true'));
    await gateway.edit(script, (text) => text.replace('lgo(', 'log('));
    await until('it is mended', async () => (await status()).release.state === 'current');
  });

  test('a page that is open says within three seconds that an earlier release is pinned', async () => {
    const first = (await status()).release.running;
    await gateway.edit('scripts/sessions.rhai', (text) => text.replace('a session began', 'somebody came'));
    await until('it is live', async () => (await status()).release.running !== first);
    const page = await browser.page(gateway.admin);
    await page.at('/events');
    const other = await browser.page(gateway.admin);
    await other.at(`/releases/${first}`);
    await other.getByRole('link', { name: 'Go back to this release…' }).click();
    await other.getByRole('button', { name: 'Go back to' }).click();
    await page.locator('#troubles').getByText(/earlier release|went back|rolled back|pinned/).first().waitFor(SOON);
    await page.close_();
    await other.close_();
  });

  test('the time of fast calls is not rounded to a millisecond', async () => {
    for (let call = 0; call < 20; call += 1) await gateway.signUp({ email: `user${call}@partner.example` });
    const page = await browser.page(gateway.admin);
    await page.at('/health');
    const tile = page.locator('section, .tile', { hasText: 'Slowest of a hundred (p99)' }).last();
    const shown = await until('a number', async () => /([0-9.]+) (µs|ms)/.exec(await tile.textContent()));
    const ms = Number(shown[1]) / (shown[2] === 'µs' ? 1_000 : 1);
    const source = await readFile(join(ROOT, 'crates/engine/src/telemetry/metrics/histogram.rs'), 'utf8');
    const bounds = /FINE_US: [^=]*= \[([^\]]*)\]/.exec(source)[1].match(/[0-9_]+/g).map((number) => Number(number.replaceAll('_', '')) / 1_000);
    const between = bounds.filter((bound) => bound > 0.5 && bound < 1);
    assert.ok(between.length >= 2, `0.5 ms and 1 ms are apart: ${between.join(' ')}`);
    assert.ok(bounds.some((bound) => Math.abs(bound - ms) <= 0.05 * bound), `${ms} ms is none of ${bounds.join(' ')}`);
    await page.close_();
  });
});

describe('with a token', () => {
  let gateway;
  before(async () => {
    gateway = await Gateway.start('token = { file = "secrets/operator", create = true }');
    await gateway.signUp({ email: 'ann@customer.example' });
  });
  after(async () => { await gateway?.stop(); });

  test('the end of a session is told within three seconds, and loses no edit', async () => {
    const page = await browser.page(gateway.admin);
    page.expected.push(/401/);
    const signIn = async (one) => {
      await one.getByLabel('Token').fill(await gateway.secret('operator'));
      await one.getByRole('button', { name: 'Sign in' }).click();
    };
    await page.at('/');
    await signIn(page);
    await page.locator('tbody tr a').first().click();
    const request = page.getByRole('textbox', { name: 'Request' });
    const edited = (await request.inputValue()).replaceAll('ann@customer.example', 'ann@partner.example');
    await request.fill(edited);
    // The same session, ended in another tab.
    const other = await page.context().newPage();
    await other.goto(`${gateway.admin}/`);
    await other.getByRole('button', { name: 'Sign out' }).click();
    await other.getByLabel('Token').waitFor();
    await page.bringToFront();
    await page.getByText('Your session has ended: what stands here is of before.').waitFor(SOON);
    await page.getByRole('button', { name: 'Run again' }).click();
    await page.getByText('What you wrote is still here').waitFor();
    assert.equal(await request.inputValue(), edited);
    await other.bringToFront();
    await signIn(other);
    await other.getByRole('button', { name: 'Sign out' }).waitFor();
    await page.bringToFront();
    await page.getByRole('button', { name: 'Run again' }).click();
    await page.locator('#tried').getByText('ALLOW').first().waitFor();
    assert.equal(await request.inputValue(), edited);
    await page.close_();
  });
});

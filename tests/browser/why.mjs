// The page of a call says why at its top, for one call of each outcome of every script that ships: nobody scrolls to learn it,
// on a desk or on a phone. LOOK=FOLDER writes pictures of what stands in the window.

import assert from 'node:assert/strict';
import { mkdir, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DESKTOP, Browser, PHONE, fits } from './browser.mjs';
import { Gateway, until } from './gateway.mjs';

const SCRIPTS = join(dirname(fileURLToPath(import.meta.url)), '../../scripts');
const SIZES = [['desktop', DESKTOP], ['phone', PHONE]];
const LOOK = process.env.LOOK;

/** A user whom the provider knows. */
const ADA = { id: '00u8h1kXq2ZbT0aYw5d7', status: 'ACTIVE', profile: { login: 'ada@example.com', employeeNumber: '4711' } };
const BEA = { id: '00uBea', status: 'ACTIVE', profile: { login: 'bea@example.com', employeeNumber: '4711' } };

const set = (members) => Object.entries(members).flatMap(([path, value]) => ['--set', `${path}=${value}`]);
const event = (type, members = {}) => ['okta.event', type, ...set(members)];

/**
 * Of each script, a call for each outcome that it has: what `hookgate simulate` sends, and what the top of the page says.
 * An event is never denied, because it has happened; tokens that go out as they are deny nobody.
 */
const CALLS = {
  'registration.rhai': {
    denied: [
      ['okta.registration', ...set({ 'data.userProfile.email': 'x@competitor.example', 'data.userProfile.login': 'x@competitor.example' })],
      /denied domain.*Okta denies; the user reads "Please sign up with the e-mail address of your company\." at the field email/s,
    ],
    changed: [
      ['okta.registration', ...set({ 'data.userProfile.email': 'ann@partner.example', 'data.userProfile.login': 'ann@partner.example' })],
      /changed allowed.*sets organization, userType/s,
    ],
  },
  'password_import.rhai': {
    unverified: [['okta.password_import', ...set({ 'data.context.credential.password': 'wrong' })], /unverified.*the password counts as wrong/s],
    verified: [['okta.password_import'], /verified.*Okta signs the user in/s],
  },
  'token.rhai': {
    changed: [['okta.token', ...set({ 'data.context.protocol.client.id': '0oaClient0000000000a' })], /changed entitlements.*adds `?ent`? to the access token/s],
  },
  'saml.rhai': {
    denied: [['okta.saml', ...set({ 'data.assertion.conditions.audienceRestriction': '["urn:example:unknown"]' })], /denied unknown_app.*This application is not set up yet/s],
    changed: [['okta.saml'], /changed shaped.*adds the attribute `?roles`?/s],
  },
  'user_import.rhai': { created: [['okta.user_import'], /created login_minted.*Okta creates a user/s] },
  'telephony.rhai': { blocked: [['okta.telephony'], /blocked code_expired.*Nobody sends the code/s] },
  'group_joined.rhai': { nothing: [event('group.user_membership.add'), /nothing joined.*It asked for no action\./s] },
  'group_watch.rhai': { acted: [event('group.user_membership.add'), /acted watched.*It asked for notify through alerts\./s] },
  'session_watch.rhai': { nothing: [event('user.session.start'), /nothing ordinary.*It asked for no action\./s] },
  'suspicious_activity.rhai': {
    acted: [event('user.account.report_suspicious_activity_by_enduser'), /acted told_default.*It asked for notify through alerts\./s],
  },
  'password_changed.rhai': {
    acted: [event('user.account.update_password'), /acted revocation_requested.*It asked for .* through alerts/s],
  },
  'import_check.rhai': { acted: [event('user.lifecycle.create'), /acted key_twice.*It asked for notify through alerts\./s] },
  'deprovision.rhai': { acted: [event('user.lifecycle.deactivate'), /acted .*It asked for .* through alerts/s] },
  'siem_forward.rhai': { acted: [event('user.session.start'), /acted forwarded.*It asked for forward through archive\./s] },
};

let browser;
before(async () => { browser = await Browser.start(); });
after(async () => { await browser?.stop(); });

const decisions = async (gateway) => (await (await fetch(`${gateway.admin}/api/v1/decisions?limit=500`)).json()).decisions;

/** What stands in the window, and nothing below it. */
const visible = (page) => page.evaluate(() => {
  const shown = [...document.querySelectorAll('main h1, main .lead')];
  const inside = (element) => { const { top, bottom } = element.getBoundingClientRect(); return top >= 0 && bottom <= innerHeight; };
  return shown.filter(inside).map((element) => element.textContent).join('\n');
});

/** Makes a call, and finds on both devices what its page says at the top. */
const shown = async (gateway, script, outcome, call, why) => {
  const known = new Set((await decisions(gateway)).map((one) => one.id));
  const { text } = await gateway.run('simulate', ...call);
  const made = async () => (await decisions(gateway)).find((one) => one.script === script && !known.has(one.id));
  const one = await until(`${script} decides`, made).catch((error) => { throw new Error(`${error.message}\n${text}`); });
  assert.equal(one.outcome, outcome, `${one.headline}\n${text}`);
  for (const [device, size] of SIZES) {
    const name = `${script}-${outcome}-${device}`;
    const page = await browser.page(gateway.admin, { size });
    await page.at(`/decisions/${one.id}`);
    const top = await visible(page);
    if (LOOK) {
      await mkdir(LOOK, { recursive: true });
      await page.screenshot({ path: join(LOOK, `${name}.png`) });
      console.log(`${name}: ${top.replaceAll('\n', ' | ')}`);
    }
    assert.match(top, why, name);
    await fits(page, name);
    await page.close_();
  }
};

test('every script that ships has its calls here', async () => {
  const shipped = (await readdir(SCRIPTS)).filter((name) => name.endsWith('.rhai') && !name.endsWith('_test.rhai'));
  assert.deepEqual(Object.keys(CALLS).sort(), shipped.sort());
});

describe('the scripts that ship', () => {
  let gateway;
  before(async () => {
    gateway = await Gateway.shipped((toml) => `${toml}
[connectors.org]
kind = "okta"
org_url = "http://127.0.0.1:{DESK}"
allow_private = true
token = { file = "secrets/okta" }
`.replace('gate = "tests"', 'gate = "check"')
      .replace('unknown_app = "pass"', 'unknown_app = "refuse"')
      .replace('# org = "org"\nchannel = "alerts"', 'org = "org"\nchannel = "alerts"'));
    gateway.desk.answers['/api/v1/users/00u8h1kXq2ZbT0aYw5d7'] = ADA;
    gateway.desk.answers['/api/v1/users'] = [ADA, BEA];
  });
  after(async () => { await gateway?.stop(); });

  for (const [script, outcomes] of Object.entries(CALLS)) {
    for (const [outcome, [call, why]] of Object.entries(outcomes)) {
      test(`${script}, ${outcome}: why is at the top`, async () => {
        await shown(gateway, script, outcome, call, why);
      });
    }
  }
});

/** A script whose entry function fails at once, whatever it is called with. */
const broken = (text) => text.replace(/^fn on_\w+\((\w+)\) \{$/m, '$&\n    if $1 != () { throw "the directory is closed"; }');

describe('the scripts that ship, when they fail', () => {
  let gateway;
  before(async () => {
    gateway = await Gateway.shipped((toml) => toml.replace('gate = "tests"', 'gate = "check"'), async (made) => {
      for (const script of Object.keys(CALLS)) await made.edit(`scripts/${script}`, broken);
    });
  });
  after(async () => { await gateway?.stop(); });

  for (const [script, outcomes] of Object.entries(CALLS)) {
    test(`${script}, failed: why is at the top`, async () => {
      const [[call]] = Object.values(outcomes);
      await shown(gateway, script, 'failed', call, new RegExp(`failed.*scripts/${script}:\\d+.*the directory is closed`, 's'));
    });
  }
});

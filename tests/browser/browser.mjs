// A headless browser, and pages that notice whatever must never happen: an error in the console, something that the policy
// forbids, a request to anywhere else.

import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const HERE = dirname(fileURLToPath(import.meta.url));
const IMAGES = join(HERE, '../../docs/images');
const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--force-color-profile=srgb', '--font-render-hinting=none',
];
/** Screenshots are only written when they are asked for: they differ from machine to machine. */
const UPDATE = Boolean(process.env.UPDATE);
const MAX_IMAGE_BYTES = 250_000;
const MAX_HEIGHT = 1_000;

export const DESKTOP = { width: 1440, height: 900 };
export const PHONE = { width: 360, height: 780 };

export class Browser {
  static async start() {
    const browser = new Browser();
    browser.data = await mkdtemp(join(tmpdir(), 'hookgate-chromium-'));
    browser.instance = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: [...FLAGS, `--disk-cache-dir=${browser.data}`] });
    return browser;
  }

  async stop() {
    await this.instance.close();
    await rm(this.data, { recursive: true, force: true });
  }

  /**
   * A page in a profile of its own, with what went wrong in `page.wrongs`.
   * @param {string} origin the only one that it may ask
   */
  async page(origin, { scheme = 'light', size = DESKTOP, script = true, headers = undefined } = {}) {
    const context = await this.instance.newContext({
      colorScheme: scheme, viewport: size, javaScriptEnabled: script, timezoneId: 'UTC', locale: 'en-GB', extraHTTPHeaders: headers,
      permissions: ['clipboard-read', 'clipboard-write'], reducedMotion: 'reduce',
    });
    const page = await context.newPage();
    page.setDefaultTimeout(10_000);
    page.wrongs = [];
    page.expected = [];
    const wrong = (text) => { if (!page.expected.some((pattern) => pattern.test(text))) page.wrongs.push(text); };
    page.on('pageerror', (error) => wrong(`error: ${error.message}`));
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) wrong(`console: ${message.text()} ${message.location().url}`);
    });
    page.on('request', (request) => {
      const url = new URL(request.url());
      if (!['data:', 'blob:'].includes(url.protocol) && url.origin !== origin) wrong(`a request to ${url.origin}`);
    });
    page.at = (path) => page.goto(origin + path);
    page.close_ = async () => {
      await context.close();
      assert.deepEqual(page.wrongs, []);
    };
    return page;
  }
}

/** No serious finding of axe-core, by WCAG 2.2 A and AA. */
export async function accessible(page, what) {
  // The policy forbids scripts that are not the gateway's: this one comes by the debugger.
  const source = await readFile(AXE, 'utf8');
  await page.evaluate(source);
  const { violations } = await page.evaluate(async () => {
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
    return globalThis.axe.run(document, { runOnly: { type: 'tag', values: tags } });
  });
  const serious = violations.filter(({ impact }) => ['serious', 'critical', 'moderate'].includes(impact));
  const told = serious.map(({ id, help, nodes }) => `${id}: ${help}\n  ${nodes.slice(0, 3).map((node) => `${node.html.slice(0, 200)}\n    ${node.failureSummary}`).join('\n  ')}`);
  assert.deepEqual(told, [], what);
}

/** Nothing sticks out to the side. */
export async function fits(page, what) {
  const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(content <= window, `${what} is ${content} px wide in a window of ${window} px`);
}

/** Writes docs/images/NAME.png, if images are to be updated. */
export async function picture(page, name, { part = undefined, height: most = MAX_HEIGHT } = {}) {
  if (!UPDATE) return;
  await mkdir(IMAGES, { recursive: true });
  const path = join(IMAGES, `${name}.png`);
  const height = Math.min(await page.evaluate(() => document.documentElement.scrollHeight), most);
  const { width } = page.viewportSize();
  const image = part ? await part.screenshot() : await page.screenshot({ fullPage: true, clip: { x: 0, y: 0, width, height } });
  await writeFile(path, image);
  assert.ok((await stat(path)).size < MAX_IMAGE_BYTES, `${name}.png is too large`);
}

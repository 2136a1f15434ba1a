// A gateway of its own for each suite: a copy of the bundle in a temporary folder, free ports, calls as the provider makes
// them, and a help desk that takes or refuses what the rules send it.

import { spawn, execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { cp, mkdtemp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createServer as createSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const HERE = dirname(fileURLToPath(import.meta.url));
const TARGET = process.env.CARGO_TARGET_DIR ?? join(HERE, '../../target');
export const BINARY = process.env.HOOKGATE_BIN ?? join(TARGET, 'debug/hookgate');
const SECRET = 'a-secret-of-the-browser-tests';
const START_MS = 30_000;

export async function freePort() {
  const socket = createSocket();
  await new Promise((resolve) => socket.listen(0, '127.0.0.1', resolve));
  const { port } = socket.address();
  await new Promise((resolve) => socket.close(resolve));
  return port;
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Asks until something true comes back. */
export async function until(what, ask, ms = 10_000) {
  const end = Date.now() + ms;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`after ${ms} ms still not: ${what}`);
    await sleep(25);
  }
}

/** The other side of the connector `desk`. */
class Desk {
  constructor() {
    this.taken = [];
    this.status = 200;
    /** What is there to be read: a path, with or without its query, and its JSON. */
    this.answers = {};
    this.server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk) => { body += chunk; });
      request.on('end', () => {
        const answer = this.answers[request.url] ?? this.answers[request.url.split('?')[0]];
        if (request.method === 'GET' && answer) {
          response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
          return;
        }
        if (this.status === 200) this.taken.push({ path: request.url, body: JSON.parse(body || 'null') });
        response.writeHead(this.status).end();
      });
    });
  }

  async start() {
    await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return this.server.address().port;
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

export class Gateway {
  /** @param {string} access lines of [admin] that say who may look: none for everybody on this machine */
  static async start(access = '') {
    const gateway = await Gateway.made(async (bundle) => { await cp(join(HERE, 'bundle'), bundle, { recursive: true }); });
    await gateway.edit('gateway.toml', (text) => gateway.placed(text).replace('{ACCESS}', access));
    return gateway.served();
  }

  /**
   * The bundle that ships with the program.
   * @param {(toml: string) => string} change what is written into its gateway.toml before the start
   * @param {(gateway: Gateway) => Promise<void>} edit what else changes before the start
   */
  static async shipped(change, edit = async () => {}) {
    const gateway = await Gateway.made(async (bundle) => {
      await mkdir(bundle);
      for (const part of ['gateway.toml', 'scripts', 'tables']) await cp(join(HERE, '../..', part), join(bundle, part), { recursive: true });
    });
    const ports = (text) => text.replace('127.0.0.1:8080', '127.0.0.1:{PUBLIC}').replace('127.0.0.1:8081', '127.0.0.1:{ADMIN}');
    await gateway.edit('gateway.toml', (text) => gateway.placed(change(ports(text))));
    await edit(gateway);
    return gateway.served();
  }

  /** One that does not run yet. */
  static async made(copy) {
    const gateway = new Gateway();
    gateway.desk = new Desk();
    gateway.folder = await mkdtemp(join(tmpdir(), 'hookgate-browser-'));
    gateway.bundle = join(gateway.folder, 'bundle');
    await copy(gateway.bundle);
    await mkdir(join(gateway.bundle, 'secrets'));
    await writeFile(join(gateway.bundle, 'secrets/okta'), SECRET);
    gateway.ports = { DESK: await gateway.desk.start(), PUBLIC: await freePort(), ADMIN: await freePort() };
    gateway.public = `http://127.0.0.1:${gateway.ports.PUBLIC}`;
    gateway.admin = `http://127.0.0.1:${gateway.ports.ADMIN}`;
    return gateway;
  }

  /** The text with the ports in it. */
  placed(text) {
    return Object.entries(this.ports).reduce((text, [name, port]) => text.replaceAll(`{${name}}`, port), text);
  }

  async served() {
    const gateway = this;
    gateway.log = '';
    gateway.process = spawn(BINARY, ['serve'], { cwd: gateway.bundle, env: { PATH: process.env.PATH, HOOKGATE_LOG: 'info' } });
    for (const out of [gateway.process.stdout, gateway.process.stderr]) out.on('data', (text) => { gateway.log += text; });
    gateway.process.on('exit', (code) => { gateway.ended = code ?? 'a signal'; });
    const ready = until('ready', async () => {
      if (gateway.ended !== undefined) throw new Error(`the gateway ended with ${gateway.ended}:\n${gateway.log}`);
      return (await fetch(`${gateway.admin}/readyz`).catch(() => null))?.ok;
    }, START_MS);
    await ready.catch(async (error) => {
      // Nothing stays open that keeps the tests from ending.
      await gateway.stop();
      throw error;
    });
    return gateway;
  }

  async stop() {
    if (this.ended === undefined) {
      const gone = new Promise((resolve) => this.process.once('exit', resolve));
      this.process.kill('SIGTERM');
      await gone;
    }
    this.desk.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** The process stands still, as one that hangs, until it goes on. */
  hold() {
    this.process.kill('SIGSTOP');
  }

  goOn() {
    this.process.kill('SIGCONT');
  }

  /** Changes a file of the bundle. */
  async edit(file, change) {
    const path = join(this.bundle, file);
    await writeFile(path, change(await readFile(path, 'utf8')));
  }

  /** Runs a command of the gateway in its bundle: what it printed, and how it ended. */
  async run(...args) {
    try {
      const { stdout, stderr } = await promisify(execFile)(BINARY, args, { cwd: this.bundle, env: { PATH: process.env.PATH } });
      return { code: 0, text: stdout + stderr };
    } catch (error) {
      return { code: error.code, text: `${error.stdout}${error.stderr}` };
    }
  }

  /** A token that the gateway made at its start. */
  async secret(name) {
    return (await readFile(join(this.bundle, 'secrets', name), 'utf8')).trim();
  }

  async call(path, body) {
    const headers = { authorization: SECRET, 'content-type': 'application/json' };
    const response = await fetch(this.public + path, { method: 'POST', headers, body: JSON.stringify(body) });
    const text = await response.text();
    return { status: response.status, body: text ? JSON.parse(text) : null };
  }

  /** Somebody signs up; the id of the call. */
  async signUp(profile, requestId = `req${randomUUID().slice(0, 8)}`) {
    const eventId = randomUUID();
    const answer = await this.call('/okta/registration', {
      eventId, eventTime: new Date().toISOString(), eventType: 'com.okta.user.pre-registration', eventTypeVersion: '1.0',
      contentType: 'application/json', cloudEventVersion: '0.1', source: 'reg1', requestType: 'self.service.registration',
      data: {
        context: { request: { id: requestId, method: 'POST', url: { value: '/idp/idx/enroll/new' }, ipAddress: '192.0.2.17' } },
        userProfile: { firstName: 'Ann', lastName: 'Example', login: profile.email, ...profile },
        action: 'ALLOW',
      },
    });
    return { eventId, requestId, ...answer };
  }

  /** A token for an app without a name: its script fails. */
  async failingToken() {
    return this.call('/okta/token', {
      eventId: randomUUID(), eventTime: new Date().toISOString(), eventType: 'com.okta.oauth2.tokens.transform',
      eventTypeVersion: '1.0', contentType: 'application/json', cloudEventVersion: '0.1', source: 'https://example.okta.com/oauth2/default',
      data: {
        context: { request: { id: 'reqToken', method: 'GET', url: { value: 'https://example.okta.com/oauth2/default/v1/authorize' }, ipAddress: '192.0.2.17' },
          protocol: { type: 'OAUTH2.0', request: { scope: 'openid', state: 's', redirect_uri: 'https://app.example/cb', response_mode: 'query', response_type: 'code', client_id: '0oa1' },
            issuer: { uri: 'https://example.okta.com/oauth2/default' }, client: { id: '0oa1', type: 'PUBLIC' } },
          policy: { id: 'p1', rule: { id: 'r1' } } },
        access: { claims: { sub: 'ann@example.com' }, token: { lifetime: { expiration: 3600 } }, scopes: {} },
      },
    });
  }

  /** Events, each of them somebody who joins a group, or a session. */
  async deliver(types) {
    const events = types.map((eventType) => ({
      uuid: randomUUID(), published: new Date().toISOString(), eventType, version: '0', severity: 'INFO', displayMessage: 'something happened',
      actor: { id: '00uActor', type: 'User', alternateId: 'admin@example.com', displayName: 'Ada Admin' },
      outcome: { result: 'SUCCESS' },
      target: [
        { id: '00uAnn', type: 'User', alternateId: 'ann@example.com', displayName: 'Ann Example' },
        { id: '00gStaff', type: 'UserGroup', alternateId: 'unknown', displayName: 'Staff' },
      ],
    }));
    const answer = await this.call('/okta/events', {
      eventId: randomUUID(), eventTime: new Date().toISOString(), eventType: 'com.okta.event_hook', eventTypeVersion: '1.0',
      contentType: 'application/json', cloudEventVersion: '0.1', source: 'https://example.okta.com/api/v1/eventHooks/who1', data: { events },
    });
    return { ...answer, ids: events.map((event) => event.uuid) };
  }
}

// Helpers of the end-to-end tests: build and run a server, read its development inbox, press
// the button of its confirmation page, make clients.
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createClient } from '@supabase/supabase-js'
import WebSocket from 'ws'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')

// startServer builds the Go command in a folder of the repository, runs it with an empty
// working directory of its own and waits until it has printed its URLs.
export async function startServer(folder, args = []) {
  const dir = await mkdtemp(join(tmpdir(), 'truekeel-e2e-'))
  const binary = join(dir, 'server')
  await promisify(execFile)('go', ['build', '-o', binary, folder], { cwd: root, env: { ...process.env, CGO_ENABLED: '0' } })

  const child = spawn(binary, ['-addr', '127.0.0.1:0', ...args], { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] })
  let log = ''
  child.stderr.on('data', chunk => { log += chunk })
  const exited = new Promise(resolve => child.on('exit', (code, signal) => resolve({ code, signal })))

  const urls = await new Promise((resolve, reject) => {
    const found = {}
    createInterface({ input: child.stdout }).on('line', line => {
      const [, name, url] = /^(open|mails)\s+(http\S+)$/.exec(line) ?? []
      if (name) found[name] = url
      if (found.open && found.mails) resolve(found)
    })
    exited.then(({ code }) => reject(new Error(`server ended with ${code} before it printed its URLs\n${log}`)))
  })

  return {
    origin: new URL(urls.open).origin,
    inbox: new Inbox(urls.mails),
    dir,
    log: () => log,
    // stop ends the server as Ctrl-C does and demands that it ends well.
    async stop() {
      child.kill('SIGINT')
      const { code } = await exited
      await rm(dir, { recursive: true, force: true })
      assert.equal(code, 0, `server ended with ${code}\n${log}`)
    },
  }
}

// Inbox reads the development inbox as its pages show it.
export class Inbox {
  constructor(url) { this.url = url }

  // wait gives the newest mail to an address, of a kind if one is given, once it is there and
  // is not among the oldest ones: its subject, kind, link and code.
  async wait(email, kind, oldest = 0) {
    const deadline = Date.now() + 10_000
    for (;;) {
      const mails = await this.list()
      for (const mail of mails.slice(0, mails.length - oldest)) {
        if (mail.to === email && (!kind || mail.kind === kind)) return this.read(mail)
      }
      assert.ok(Date.now() < deadline, `no mail${kind ? ` of kind ${kind}` : ''} to ${email} within 10 s`)
      await sleep(50)
    }
  }

  // list gives the mails, newest first, without what is in them.
  async list() {
    const html = await this.get('')
    return [...html.matchAll(/<tr class="mail" data-kind="([^"]*)"><td class="to">([^<]*)<\/td><td><a class="subject" href="([^"]*)">([^<]*)</g)]
      .map(([, kind, to, href, subject]) => ({ kind, to: unescapeHTML(to), href: unescapeHTML(href), subject: unescapeHTML(subject) }))
  }

  // sms gives the code of the newest message to a number, once it is there and is not among
  // the oldest ones.
  async sms(phone, oldest = 0) {
    const deadline = Date.now() + 10_000
    for (;;) {
      const codes = await this.codes(phone)
      if (codes.length > oldest) return codes[0]
      assert.ok(Date.now() < deadline, `no message to ${phone} within 10 s`)
      await sleep(50)
    }
  }

  // codes gives the codes of the messages to a number, newest first.
  async codes(phone) {
    const html = await this.get('')
    return [...html.matchAll(/<tr class="note"><td class="to">([^<]*)<\/td><td class="text">([^<]*)</g)]
      .map(([, to, text]) => ({ to: unescapeHTML(to), code: /\d{6}/.exec(text)?.[0] }))
      .filter(({ to }) => to === phone)
      .map(({ code }) => code)
  }

  async read(mail) {
    const html = await this.get(mail.href)
    const link = /<a id="confirm" href="([^"]*)"/.exec(html)?.[1]
    return { ...mail, link: link && unescapeHTML(link), code: /<span id="code">([^<]*)</.exec(html)?.[1] }
  }

  async get(href) {
    const res = await fetch(new URL(href, this.url))
    const html = await res.text()
    assert.equal(res.status, 200, `the inbox answers ${res.status}: ${html}`)
    return html
  }
}

// newClient is an unmodified supabase-js client. requests holds the paths that it asked for.
export function newClient(server, options = {}, key = 'any-key') {
  const requests = []
  const client = createClient(server.origin, key, {
    auth: { persistSession: false, autoRefreshToken: false, ...options },
    realtime: { transport: WebSocket },
    global: {
      fetch: (input, init) => {
        requests.push(new URL(input).pathname)
        return fetch(input, init)
      },
    },
  })
  return Object.assign(client, { requests })
}

// newEmail is an address that no other test uses.
let emails = 0
export const newEmail = name => `${name}-${++emails}@example.com`

// must gives the data of an answer that has no error.
export async function must(answer) {
  const { data, error } = await answer
  assert.equal(error, null, `${error?.code}: ${error?.message}`)
  return data
}

// fails gives the error of an answer that has one, of this code.
export async function fails(answer, code) {
  const { error } = await answer
  assert.ok(error, `expected the error ${code}`)
  assert.equal(error.code, code, error.message)
  return error
}

// press opens a mail's link as a browser does: a page with one button, whose form it posts.
// It gives the URL that the answer redirects to.
export async function press(link) {
  const page = await fetch(link, { redirect: 'manual' })
  const html = await page.text()
  assert.equal(page.status, 200, `GET ${link}: ${page.status} ${html}`)
  assert.match(page.headers.get('content-type'), /^text\/html/)

  const [, form] = /<form([^>]*)>/.exec(html) ?? assert.fail(`no form in ${html}`)
  assert.match(form, /method="?post"?/i)
  const action = new URL(unescapeHTML(/action="([^"]*)"/.exec(form)?.[1] ?? ''), link)
  const fields = new URLSearchParams()
  for (const [, input] of html.matchAll(/<input([^>]*)>/g)) {
    fields.append(unescapeHTML(/name="([^"]*)"/.exec(input)[1]), unescapeHTML(/value="([^"]*)"/.exec(input)?.[1] ?? ''))
  }

  const answer = await fetch(action, {
    method: 'POST',
    body: fields,
    redirect: 'manual',
    headers: { Origin: action.origin, 'Sec-Fetch-Site': 'same-origin' },
  })
  assert.equal(answer.status, 303, await answer.text())
  return new URL(answer.headers.get('location'), action)
}

// fragment reads the parameters after the # of a redirect.
export const fragment = url => Object.fromEntries(new URLSearchParams(url.hash.slice(1)))

export function unescapeHTML(text) {
  const named = { amp: '&', lt: '<', gt: '>', quot: '"' }
  return text.replace(/&(?:#(\d+)|#x([0-9a-f]+)|(\w+));/gi, (all, dec, hex, name) =>
    name ? named[name] ?? all : String.fromCodePoint(dec ? Number(dec) : parseInt(hex, 16)))
}

// Runs the standalone server: a binary that is configured by variables alone.
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Inbox } from './lib.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const exec = promisify(execFile)

// startTruekeel builds the command, runs `truekeel serve` with these variables and an empty
// working directory, and waits until it serves.
export async function startTruekeel(variables = {}) {
  const dir = await mkdtemp(join(tmpdir(), 'truekeel-e2e-'))
  const binary = join(dir, 'truekeel')
  await exec('go', ['build', '-o', binary, './cmd/truekeel'], { cwd: root, env: { ...process.env, CGO_ENABLED: '0' } })
  const options = { cwd: dir, env: { PATH: process.env.PATH, HOME: dir, PORT: '0', ...variables } }

  const child = spawn(binary, ['serve'], { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
  let log = ''
  const exited = new Promise(resolve => child.on('exit', (code, signal) => resolve({ code, signal })))
  const { port, inbox } = await new Promise((resolve, reject) => {
    const found = {}
    const note = more => {
      Object.assign(found, more)
      if (found.port && found.inbox) resolve(found)
    }
    createInterface({ input: child.stdout }).on('line', line => {
      log += line + '\n'
      const entry = JSON.parse(line)
      if (entry.msg === 'serving') note({ port: new URL('http://' + entry.address).port })
    })
    createInterface({ input: child.stderr }).on('line', line => {
      log += line + '\n'
      const [, url] = /^mails\s+(http\S+)$/.exec(line) ?? []
      if (url) note({ inbox: url })
    })
    exited.then(({ code }) => reject(new Error(`the server ended with ${code}\n${log}`)))
  })

  return {
    origin: `http://localhost:${port}`,
    inbox: new Inbox(inbox),
    log: () => log,
    // run runs another command of the program beside the server and gives what it prints.
    run: async (...args) => (await exec(binary, args, options)).stdout.trim(),
    // stop ends the server as an operator does and demands that it ends well.
    async stop() {
      child.kill('SIGTERM')
      const { code } = await exited
      await rm(dir, { recursive: true, force: true })
      assert.equal(code, 0, `the server ended with ${code}\n${log}`)
    },
  }
}

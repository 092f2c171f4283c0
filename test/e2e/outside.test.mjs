// @supabase/supabase-js, unmodified, and what the server asks of others: a captcha, hooks
// over HTTP, the webhook that is asked and the one that is told.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fails, must, newClient, newEmail, startServer } from './lib.mjs'
import { seedSigned, signed, startReceiver } from './receiver.mjs'

const password = 'correct horse battery'

// until gives what look finds, as soon as it finds something.
async function until(what, look) {
  const deadline = Date.now() + 10_000
  for (;;) {
    const found = look()
    if (found) return found
    assert.ok(Date.now() < deadline, `${what} didn't come within 10 s`)
    await sleep(20)
  }
}

describe('captcha', () => {
  const captchaToken = 'solved'
  const asked = []
  let service, server
  before(async () => {
    service = await startReceiver({
      siteverify: body => {
        const form = new URLSearchParams(body)
        assert.equal(form.get('secret'), 'captcha-secret')
        asked.push(form.get('response'))
        return form.get('response') === captchaToken ? { success: true } : { success: false, 'error-codes': ['invalid-input-response'] }
      },
    })
    server = await startServer('./test/e2e/outside', ['-phones', '-captcha', service.url])
  })
  after(async () => {
    await server?.stop()
    service?.stop()
  })

  // calls are those that take a token: each with the options that hold it.
  const email = newEmail('captcha'), phone = '+491719994567'
  const calls = {
    'signUp': options => newClient(server).auth.signUp({ email, password, options }),
    'signUp by phone': options => newClient(server).auth.signUp({ phone, password, options }),
    'resend': options => newClient(server).auth.resend({ type: 'signup', email, options }),
    'resend to a phone': options => newClient(server).auth.resend({ type: 'sms', phone, options }),
    'signInWithOtp': options => newClient(server).auth.signInWithOtp({ email, options }),
    'signInWithOtp by phone': options => newClient(server).auth.signInWithOtp({ phone, options }),
    'resetPasswordForEmail': options => newClient(server).auth.resetPasswordForEmail(email, options),
  }
  for (const [name, call] of Object.entries(calls)) {
    test(name, async () => {
      assert.match((await fails(call({}), 'captcha_failed')).message, /no captcha_token found/)
      assert.match((await fails(call({ captchaToken: 'guessed' }), 'captcha_failed')).message, /invalid-input-response/)
      await must(call({ captchaToken }))
    })
  }

  test('signInWithPassword, and nothing after it', async () => {
    const who = { email: newEmail('captcha'), password }, client = newClient(server)
    await must(client.auth.signUp({ ...who, options: { captchaToken } }))
    const { code } = await server.inbox.wait(who.email, 'confirmation')
    const before = asked.length
    await must(client.auth.verifyOtp({ email: who.email, token: code, type: 'email' }))
    assert.equal(asked.length, before)

    await fails(client.auth.signInWithPassword(who), 'captcha_failed')
    await fails(client.auth.signInWithPassword({ ...who, options: { captchaToken: 'guessed' } }), 'captcha_failed')
    await must(client.auth.signInWithPassword({ ...who, options: { captchaToken } }))
    const after = asked.length
    await must(client.auth.refreshSession())
    await must(client.auth.updateUser({ data: { seen: true } }))
    await must(client.auth.signOut())
    assert.equal(asked.length, after)
  })

  test('the stand-in understood everything, and no token is in the log', () => {
    assert.deepEqual(service.errors, [])
    assert.doesNotMatch(server.log(), /level=ERROR|panic|captcha-secret|guessed/)
  })

  test('nobody comes in while the service is down', async () => {
    service.stop()
    const { error } = await newClient(server).auth.signInWithPassword({ email, password, options: { captchaToken } })
    assert.equal(error?.status, 500)
    assert.equal(error.name, 'AuthRetryableFetchError')
    assert.doesNotMatch(server.log(), /panic|captcha-secret/)
  })
})

describe('hooks over HTTP', () => {
  const secret = 'v1,whsec_' + randomBytes(32).toString('base64')
  const mails = [], messages = [], created = [], ids = new Set()
  let receiver, server

  // hook notes that no call comes under the id of another.
  const hook = answer => signed(secret, (input, id) => {
    assert.ok(!ids.has(id), `${id} came twice`)
    ids.add(id)
    return answer(input) ?? {}
  })

  before(async () => {
    receiver = await startReceiver({
      before_user_created: hook(({ metadata, user }) => {
        assert.equal(metadata.name, 'before-user-created')
        if (user.user_metadata.name === 'Mallory') return { error: { http_code: 403, message: 'We would rather not' } }
      }),
      custom_access_token: hook(({ user_id, claims }) => {
        assert.equal(claims.sub, user_id)
        if (claims.user_metadata.greedy) claims.role = 'service_role'
        return { claims: { ...claims, team: 'green', seen: claims.email } }
      }),
      send_email: hook(({ user, email_data }) => { mails.push({ to: user.email, ...email_data }) }),
      send_sms: hook(({ metadata, user, sms }) => {
        assert.equal(metadata.name, 'send-sms')
        messages.push({ account: user.phone, ...sms })
      }),
      after_user_created: hook(({ user }) => { created.push(user) }),
      password_verification_attempt: hook(({ valid }) =>
        valid ? { decision: 'continue' } : { decision: 'reject', message: 'Wrong, and counted' }),
    })
    server = await startServer('./test/e2e/outside', ['-hooks', receiver.url, '-hook-secret', secret])
  })
  after(async () => {
    await server?.stop()
    receiver?.stop()
  })

  const mailed = email => until(`a mail to ${email}`, () => mails.findLast(mail => mail.to === email))

  async function signedUp(name, data) {
    const email = newEmail(name), client = newClient(server)
    await must(client.auth.signUp({ email, password, options: { data } }))
    return { email, client, mail: await mailed(email) }
  }

  test('send mails', async () => {
    const { email, client, mail } = await signedUp('hooked', { name: 'Ada' })
    assert.equal(mail.email_action_type, 'signup')
    await must(client.auth.verifyOtp({ email, token: mail.token, type: 'email' }))

    const byHash = newClient(server)
    await must(byHash.auth.resetPasswordForEmail(email))
    const { token_hash } = await until('the recovery', () => mails.find(m => m.to === email && m.email_action_type === 'recovery'))
    await must(byHash.auth.verifyOtp({ token_hash, type: 'recovery' }))
  })

  test('send messages to phones', async () => {
    const phone = '+491711234567', number = phone.slice(1), client = newClient(server)
    await must(client.auth.signInWithOtp({ phone }))
    const message = await until(`a message to ${phone}`, () => messages.find(m => m.account === number))
    assert.equal(message.phone, number)
    const { user } = await must(client.auth.verifyOtp({ phone, token: message.otp, type: 'sms' }))
    assert.equal(user.phone, number)
    assert.equal(messages.filter(m => m.account === number).length, 1)
  })

  test('hear of accounts', async () => {
    const { email } = await signedUp('created', { name: 'Ada' })
    const user = await until('the account', () => created.find(u => u.email === email))
    assert.equal(user.user_metadata.name, 'Ada')
    assert.ok(user.id && user.created_at)
  })

  test('add claims that getClaims proves', async () => {
    const { email, client, mail } = await signedUp('claims')
    await must(client.auth.verifyOtp({ email, token: mail.token, type: 'email' }))
    await must(client.auth.refreshSession())
    const { claims, header } = await must(client.auth.getClaims())
    assert.equal(header.alg, 'ES256')
    assert.ok(client.requests.includes('/auth/v1/.well-known/jwks.json'))
    assert.equal(claims.team, 'green')
    assert.equal(claims.seen, email)
    assert.equal(claims.role, 'authenticated')
  })

  test('make nobody an administrator', async () => {
    const { email, client, mail } = await signedUp('greedy', { greedy: true })
    const { data, error } = await client.auth.verifyOtp({ email, token: mail.token, type: 'email' })
    assert.equal(error?.status, 500, JSON.stringify(data))
    assert.equal(data.session, null)
  })

  test('refuse a sign-up in their own words', async () => {
    const email = newEmail('mallory'), client = newClient(server)
    const { error } = await client.auth.signUp({ email, password, options: { data: { name: 'Mallory' } } })
    assert.equal(error?.message, 'We would rather not')
    assert.equal(error.status, 403)
    assert.ok(!mails.some(mail => mail.to === email))
  })

  test('judge passwords', async () => {
    const { email, client, mail } = await signedUp('judged')
    await must(client.auth.verifyOtp({ email, token: mail.token, type: 'email' }))
    await must(client.auth.signInWithPassword({ email, password }))
    const { error } = await client.auth.signInWithPassword({ email, password: 'not the password' })
    assert.equal(error?.message, 'Wrong, and counted')
  })

  test('were called well', () => {
    assert.deepEqual(receiver.errors, [])
    assert.ok(!server.log().includes(secret) && !server.log().includes(password))
  })
})

describe('webhooks', () => {
  const webhookSecret = randomBytes(32).toString('hex')
  const eventSecret = 'whsec_' + randomBytes(32).toString('base64')
  const asked = [], told = []
  let receiver, server
  let failing // the user whose next event fails

  before(async () => {
    receiver = await startReceiver({
      asked: seedSigned(webhookSecret, ({ event, user }) => {
        asked.push({ event, email: user.email })
        if (user.user_metadata.name === 'Mallory') return { status: 422, body: { message: 'no' } }
        if (event === 'signup') return { app_metadata: { plan: 'pro' } }
      }),
      events: signed(eventSecret, ({ type, data }, id) => {
        const failed = data.user.id === failing
        told.push({ id, type, data, failed })
        if (!failed) return
        failing = undefined
        return { status: 503, body: {} }
      }),
    })
    server = await startServer('./test/e2e/outside', [
      '-webhook', receiver.url + '/asked', '-webhook-secret', webhookSecret,
      '-events', receiver.url + '/events', '-event-secret', eventSecret,
    ])
  })
  after(async () => {
    await server?.stop()
    receiver?.stop()
  })

  // heard are the events of a user that were accepted, once the last of a type is there.
  const heard = async (user, last) => {
    const own = () => told.filter(e => e.data.user.id === user.id && !e.failed)
    await until(last, () => own().some(e => e.type === last))
    return own()
  }

  async function signedIn(name) {
    const email = newEmail(name), client = newClient(server)
    await must(client.auth.signUp({ email, password, options: { data: { name: 'Ada' } } }))
    const { code } = await server.inbox.wait(email, 'confirmation')
    const { user } = await must(client.auth.verifyOtp({ email, token: code, type: 'email' }))
    return { email, client, user }
  }

  test('one that is asked changes metadata', async () => {
    const { email, user } = await signedIn('asked')
    assert.deepEqual(asked.filter(a => a.email === email).map(a => a.event), ['validate', 'signup'])
    assert.equal(user.app_metadata.plan, 'pro')
    assert.equal(user.app_metadata.provider, 'email')
    await must(newClient(server).auth.signInWithPassword({ email, password }))
    assert.deepEqual(asked.filter(a => a.email === email).map(a => a.event), ['validate', 'signup', 'login'])
  })

  test('one that is asked refuses', async () => {
    const email = newEmail('mallory')
    const { error } = await newClient(server).auth.signUp({ email, password, options: { data: { name: 'Mallory' } } })
    assert.equal(error?.status, 422)
    assert.ok(!(await server.inbox.list()).some(mail => mail.to === email))
  })

  test('events come once and in order', async () => {
    const { email, client, user } = await signedIn('told')
    await must(client.auth.updateUser({ data: { name: 'Grace' } }))
    await must(client.auth.updateUser({ password: 'a new pass phrase' }))
    await must(client.auth.signOut())

    const events = await heard(user, 'user.signed_out')
    assert.deepEqual(events.map(e => e.type), [
      'user.created', 'user.confirmed', 'user.updated', 'user.signed_in', 'user.updated', 'user.password_changed', 'user.signed_out',
    ])
    for (const e of events) assert.equal(e.data.user.email, email)
    assert.deepEqual(events.map(e => e.data.user.user_metadata.name), ['Ada', 'Ada', 'Ada', 'Ada', 'Grace', 'Grace', 'Grace'])
    assert.ok(!events[0].data.user.email_confirmed_at && events[1].data.user.email_confirmed_at)
    assert.deepEqual(events[4].data.changed, ['user_metadata'])
  })

  test('one that failed comes again before those behind it', async () => {
    const { client, user } = await signedIn('again')
    await heard(user, 'user.signed_in')
    failing = user.id
    await must(client.auth.updateUser({ data: { name: 'Grace' } }))
    await must(client.auth.signOut())
    const events = await heard(user, 'user.signed_out')
    assert.deepEqual(events.slice(-2).map(e => e.type), ['user.updated', 'user.signed_out'])
    assert.deepEqual(told.filter(e => e.failed).map(e => e.id), [events.at(-2).id])
  })

  test('were called well, and no event holds a secret', () => {
    assert.deepEqual(receiver.errors, [])
    const accepted = told.filter(e => !e.failed).map(e => e.id)
    assert.equal(new Set(accepted).size, accepted.length)
    assert.doesNotMatch(JSON.stringify(told), /\$2a\$|encrypted_password|"token|refresh/)
    assert.doesNotMatch(server.log(), /level=ERROR|panic|whsec_/)
  })
})

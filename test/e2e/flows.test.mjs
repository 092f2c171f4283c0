// @supabase/supabase-js, unmodified: every flow that proves an address, and administration.
import assert from 'node:assert/strict'
import { createHmac, randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { fails, fragment, must, newClient, newEmail, press, startServer } from './lib.mjs'

const password = 'correct horse battery'
const secret = randomBytes(32).toString('hex')

let server
before(async () => { server = await startServer('./test/e2e/server', ['-secret', secret]) })
after(() => server?.stop())

// serviceRole is a token that administrates, as a host's back end makes it.
function serviceRole() {
  const encode = value => Buffer.from(JSON.stringify(value)).toString('base64url')
  const now = Math.floor(Date.now() / 1000)
  const body = encode({ alg: 'HS256', typ: 'JWT' }) + '.' + encode({ role: 'service_role', iat: now, exp: now + 600 })
  return body + '.' + createHmac('sha256', secret).update(body).digest('base64url')
}

const newAdmin = () => newClient(server, {}, serviceRole()).auth.admin
const pkce = () => newClient(server, { flowType: 'pkce' })

async function signedIn(name) {
  const email = newEmail(name), client = newClient(server)
  await must(client.auth.signUp({ email, password }))
  const { code } = await server.inbox.wait(email, 'confirmation')
  await must(client.auth.verifyOtp({ email, token: code, type: 'email' }))
  return { email, client }
}

// follow presses a link and gives a client with the session that it leads to.
async function follow(link, type) {
  const got = fragment(await press(link))
  assert.equal(got.type, type, JSON.stringify(got))
  const client = newClient(server)
  await must(client.auth.setSession(got))
  return client
}

describe('one-time codes and links', () => {
  test('signInWithOtp makes an account', async () => {
    const email = newEmail('otp-new'), client = newClient(server)
    await must(client.auth.signInWithOtp({ email, options: { data: { name: 'Ada' } } }))
    const { code } = await server.inbox.wait(email)
    const { user } = await must(client.auth.verifyOtp({ email, token: code, type: 'email' }))
    assert.equal(user.email, email)
    assert.equal(user.user_metadata.name, 'Ada')
  })

  test('signInWithOtp of an account: code, token hash, link', async () => {
    const { email, client } = await signedIn('otp')
    const id = (await must(client.auth.getUser())).user.id
    const mail = async () => {
      const before = (await server.inbox.list()).length
      await must(newClient(server).auth.signInWithOtp({ email }))
      return server.inbox.wait(email, 'magic_link', before)
    }

    const byCode = newClient(server)
    await must(byCode.auth.verifyOtp({ email, token: (await mail()).code, type: 'email' }))
    const token_hash = new URL((await mail()).link).searchParams.get('token')
    const byHash = newClient(server)
    await must(byHash.auth.verifyOtp({ token_hash, type: 'magiclink' }))
    const byLink = await follow((await mail()).link, 'magiclink')
    for (const c of [byCode, byHash, byLink]) assert.equal((await must(c.auth.getUser())).user.id, id)
  })

  test('resetPasswordForEmail', async () => {
    const { email } = await signedIn('recovery')
    await must(newClient(server).auth.resetPasswordForEmail(email))
    const { link } = await server.inbox.wait(email, 'recovery')
    const client = await follow(link, 'recovery')
    await must(client.auth.updateUser({ password: 'a new pass phrase' }))
    await must(newClient(server).auth.signInWithPassword({ email, password: 'a new pass phrase' }))
    await fails(newClient(server).auth.signInWithPassword({ email, password }), 'invalid_credentials')
  })

  test('resetPasswordForEmail of an unknown address answers alike', async () => {
    await must(newClient(server).auth.resetPasswordForEmail(newEmail('unknown')))
  })

  test('resend replaces the first mail', async () => {
    const email = newEmail('resend'), client = newClient(server)
    await must(client.auth.signUp({ email, password }))
    const first = await server.inbox.wait(email, 'confirmation')
    const before = (await server.inbox.list()).length
    await must(client.auth.resend({ type: 'signup', email }))
    const second = await server.inbox.wait(email, 'confirmation', before)
    assert.notEqual(second.link, first.link)
    assert.equal(fragment(await press(first.link)).error_code, 'otp_expired')
    await follow(second.link, 'signup')
  })

  test('a change of address takes both confirmations', async () => {
    const { email, client } = await signedIn('old')
    const next = newEmail('new')
    await must(client.auth.updateUser({ email: next }))
    const toOld = await server.inbox.wait(email, 'email_change')
    const toNew = await server.inbox.wait(next, 'email_change')

    assert.match(fragment(await press(toNew.link)).message, /other email/)
    assert.equal((await must(client.auth.getUser())).user.email, email)
    await press(toOld.link)
    assert.equal((await must(client.auth.getUser())).user.email, next)
    await must(newClient(server).auth.signInWithPassword({ email: next, password }))
    await fails(newClient(server).auth.signInWithPassword({ email, password }), 'invalid_credentials')
  })

  test('reauthenticate', async () => {
    const { email, client } = await signedIn('nonce')
    await must(client.auth.reauthenticate())
    const { code } = await server.inbox.wait(email, 'reauthentication')
    await must(client.auth.updateUser({ password: 'a new pass phrase', nonce: code }))
    await must(newClient(server).auth.signInWithPassword({ email, password: 'a new pass phrase' }))
  })
})

describe('PKCE', () => {
  test('the code goes to who began', async () => {
    const email = newEmail('pkce'), client = pkce()
    await must(client.auth.signUp({ email, password }))
    const target = await press((await server.inbox.wait(email, 'confirmation')).link)
    assert.equal(target.hash, '')
    const code = target.searchParams.get('code')
    assert.ok(code, target.href)

    const thief = pkce()
    await must(thief.auth.signInWithOtp({ email: newEmail('thief') })) // gives him a verifier of his own
    await fails(thief.auth.exchangeCodeForSession(code), 'bad_code_verifier')
    const { session } = await must(client.auth.exchangeCodeForSession(code))
    assert.equal(session.user.email, email)
  })

  test('recovery', async () => {
    const { email } = await signedIn('pkce-recovery')
    const client = pkce()
    await must(client.auth.resetPasswordForEmail(email))
    const target = await press((await server.inbox.wait(email, 'recovery')).link)
    await must(client.auth.exchangeCodeForSession(target.searchParams.get('code')))
    await must(client.auth.updateUser({ password: 'a new pass phrase' }))
  })
})

describe('administration', () => {
  test('inviteUserByEmail', async () => {
    const email = newEmail('invited')
    await must(newAdmin().inviteUserByEmail(email, { data: { team: 7 } }))
    const client = await follow((await server.inbox.wait(email, 'invite')).link, 'invite')
    const { user } = await must(client.auth.updateUser({ password }))
    assert.equal(user.user_metadata.team, 7)
    await must(newClient(server).auth.signInWithPassword({ email, password }))
  })

  test('generateLink of each type, without a mail', async () => {
    const admin = newAdmin(), { email } = await signedIn('generate')
    const fresh = newEmail('generate-signup'), invited = newEmail('generate-invite'), next = newEmail('generate-new')
    for (const [params, type] of [
      [{ type: 'signup', email: fresh, password }, 'signup'],
      [{ type: 'invite', email: invited }, 'invite'],
      [{ type: 'magiclink', email }, 'magiclink'],
      [{ type: 'recovery', email }, 'recovery'],
    ]) {
      const { properties, user } = await must(admin.generateLink(params))
      assert.equal(user.email, params.email)
      assert.equal(properties.verification_type, type)
      assert.match(properties.email_otp, /^\d{6}$/)
      await follow(properties.action_link, type)
    }
    const change = await must(admin.generateLink({ type: 'email_change_new', email, newEmail: next }))
    assert.equal(change.properties.verification_type, 'email_change_new')

    const mailed = (await server.inbox.list()).map(mail => mail.to)
    for (const address of [fresh, invited, next]) assert.ok(!mailed.includes(address), address)
  })

  test('users are made, found, changed, listed, banned and deleted', async () => {
    const admin = newAdmin(), email = newEmail('managed')
    const { user } = await must(admin.createUser({ email, password, email_confirm: true, app_metadata: { plan: 'pro' } }))
    assert.equal(user.app_metadata.plan, 'pro')
    assert.equal((await must(admin.getUserById(user.id))).user.email, email)
    const { users } = await must(admin.listUsers({ page: 1, perPage: 100 }))
    assert.ok(users.some(u => u.id === user.id))
    await must(admin.updateUserById(user.id, { user_metadata: { name: 'Grace' } }))

    const client = newClient(server)
    const signIn = await must(client.auth.signInWithPassword({ email, password }))
    assert.equal(signIn.user.user_metadata.name, 'Grace')
    await must(admin.updateUserById(user.id, { ban_duration: '1h' }))
    await fails(newClient(server).auth.signInWithPassword({ email, password }), 'user_banned')
    await must(admin.deleteUser(user.id))
    await fails(admin.getUserById(user.id), 'user_not_found')
    assert.ok((await client.auth.getUser()).error)
  })

  test('takes a role', async () => {
    const { client } = await signedIn('nobody')
    const { access_token } = (await must(client.auth.getSession())).session
    await fails(newClient(server, {}, access_token).auth.admin.listUsers(), 'not_admin')
    await fails(newClient(server, {}, 'any-key').auth.admin.listUsers(), 'bad_jwt')
  })
})

test('the server logged no secret and no error', () => {
  assert.match(server.log(), /level=/, 'nothing was logged at all')
  assert.doesNotMatch(server.log(), /level=ERROR|panic/)
  assert.ok(!server.log().includes(password) && !server.log().includes(secret))
})

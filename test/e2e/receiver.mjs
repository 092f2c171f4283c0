// Services outside of the server under test: a stand-in for hCaptcha, hooks, webhooks.
import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { createServer } from 'node:http'
import { Webhook } from 'standardwebhooks'

// startReceiver serves POST by the path's last part: routes gives what answers each, a
// function of the body's text and of the headers. What it returns is sent as JSON,
// undefined as 204, { status, body } with that status. One that throws is 500 and noted in
// errors, which no test should find filled.
export async function startReceiver(routes) {
  const errors = []
  const server = createServer(async (req, res) => {
    let body = ''
    for await (const chunk of req) body += chunk
    const name = new URL(req.url, 'http://localhost').pathname.split('/').pop()
    try {
      assert.equal(req.method, 'POST')
      assert.ok(routes[name], `nobody waits at ${req.url}`)
      const answer = await routes[name](body, req.headers)
      if (answer === undefined) return res.writeHead(204).end()
      const { status = 200, body: json = answer } = answer
      res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json))
    } catch (err) {
      errors.push(err)
      res.writeHead(500).end()
    }
  })
  const stop = () => {
    server.close()
    server.closeAllConnections()
  }
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${server.address().port}`, errors, stop }
}

// signed wraps an answer to what is signed after Standard Webhooks, which a library of its
// own verifies. The answer is a function of what was sent, and of its id.
export function signed(secret, answer) {
  const webhook = new Webhook(secret.replace(/^v1,/, ''))
  return (body, headers) => answer(webhook.verify(body, headers), headers['webhook-id'])
}

// seedSigned is the same for the signature of the webhook that is asked: a JWT with the
// hash of the body.
export function seedSigned(secret, answer) {
  return (body, headers) => {
    const [header, claims, signature] = headers['x-webhook-signature'].split('.')
    assert.equal(signature, createHmac('sha256', secret).update(`${header}.${claims}`).digest('base64url'))
    assert.equal(JSON.parse(Buffer.from(claims, 'base64url')).sha256, createHash('sha256').update(body).digest('hex'))
    return answer(JSON.parse(body))
  }
}

// Bun: its own server, router, SQL client and HMAC; nothing else.
import { SQL } from 'bun'
import { timingSafeEqual } from 'node:crypto'

// libpq's URL may name a socket's folder in ?host= and no host; Bun wants the socket itself.
const url = new URL(process.env.DATABASE_URL.replace('@/', '@localhost/'))
const folder = url.searchParams.get('host')
const sql = new SQL({
  adapter: 'postgres',
  ...(folder
    ? { path: `${folder}/.s.PGSQL.${url.searchParams.get('port')}` }
    : { hostname: url.hostname, port: Number(url.port) }),
  tls: url.searchParams.get('sslmode') === 'require' ? { rejectUnauthorized: false } : false,
  username: url.username,
  database: url.pathname.slice(1),
  max: 10,
})
const secret = process.env.JWT_SECRET

const problem = (status, detail, headers) => Response.json({ detail }, { status, headers })

const bearerOf = (request) => {
  const authorization = request.headers.get('authorization')
  return authorization?.startsWith('Bearer ') ? authorization.slice(7) : ''
}

// RFC 7519, HS256 only: the signature over "header.payload", then alg and exp. Null when anything is off.
function claimsOf(token) {
  const [header, payload, signature, ...rest] = token.split('.')
  if (!signature || rest.length) return null
  const expected = new Bun.CryptoHasher('sha256', secret).update(`${header}.${payload}`).digest()
  const given = Buffer.from(signature, 'base64url')
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return null
  if (JSON.parse(Buffer.from(header, 'base64url')).alg !== 'HS256') return null
  const claims = JSON.parse(Buffer.from(payload, 'base64url'))
  return claims.exp > Date.now() / 1000 ? claims : null
}

const authenticated = (handler) => async (request) => {
  const claims = claimsOf(bearerOf(request))
  if (!claims || claims.typ) return problem(401, 'No autenticado', { 'WWW-Authenticate': 'Bearer' })
  return handler(request, { id: Number(claims.sub), admin: claims.rol === 'admin' })
}

// A decimal integer in [min, max], or null.
function integer(text, min, max) {
  if (!/^\d{1,16}$/.test(text)) return null
  const number = Number(text)
  return number >= min && number <= max ? number : null
}

const between = (value, min, max) => Number.isSafeInteger(value) && value >= min && value <= max
const FIELDS = new Set(['venta', 'ventas_productos', 'usuario_id'])

function isNewVenta(body) {
  return (
    body !== null &&
    typeof body === 'object' &&
    Object.keys(body).every((key) => FIELDS.has(key)) &&
    between(body.venta, 0, 1e15) &&
    between(body.ventas_productos, 1, 1e6) &&
    (body.usuario_id === undefined || between(body.usuario_id, 1, Number.MAX_SAFE_INTEGER))
  )
}

// int8 arrives as text, and so does int4 in the first answer on a connection.
const toUser = ({ id, username, nombre, apellido, correo }) => ({ id: Number(id), username, nombre, apellido, correo })
const toVenta = ({ id, usuario_id, venta, ventas_productos, creacion }) => ({
  id: Number(id),
  usuario_id: Number(usuario_id),
  venta: Number(venta),
  ventas_productos: Number(ventas_productos),
  creacion,
})

async function listUsers(request, caller) {
  if (!caller.admin) return problem(403, 'Solo un administrador')
  const query = new URL(request.url).searchParams
  const limit = integer(query.get('limit') ?? '100', 1, 1000)
  const after = integer(query.get('despues') ?? '0', 0, Number.MAX_SAFE_INTEGER)
  if (limit === null || after === null) return problem(422, 'Página no válida')
  const rows = await sql`SELECT id, username, nombre, apellido, correo FROM usuario WHERE id > ${after} ORDER BY id LIMIT ${limit}`
  return Response.json(rows.map(toUser))
}

async function showUser(request, caller) {
  const id = integer(request.params.id, 1, Number.MAX_SAFE_INTEGER)
  if (id === null) return problem(404, `No existe el usuario con el id ${request.params.id}`)
  if (!caller.admin && caller.id !== id) return problem(403, 'Sin permiso')
  const [row] = await sql`SELECT id, username, nombre, apellido, correo FROM usuario WHERE id = ${id}`
  return row ? Response.json(toUser(row)) : problem(404, `No existe el usuario con el id ${id}`)
}

async function showVenta(request, caller) {
  const id = integer(request.params.id, 1, Number.MAX_SAFE_INTEGER)
  if (id === null) return problem(404, `No existe la venta con el id ${request.params.id}`)
  const owner = caller.admin ? null : caller.id
  const [row] = await sql`SELECT id, usuario_id, venta, ventas_productos, creacion FROM venta
                           WHERE id = ${id} AND (${owner}::bigint IS NULL OR usuario_id = ${owner}::bigint)`
  return row ? Response.json(toVenta(row)) : problem(404, `No existe la venta con el id ${id}`)
}

async function listVentas(request, caller) {
  const limit = integer(new URL(request.url).searchParams.get('limit') ?? '100', 1, 1000)
  if (limit === null) return problem(422, 'Página no válida')
  const owner = caller.admin ? null : caller.id
  const rows = owner === null
    ? await sql`SELECT id, usuario_id, venta, ventas_productos, creacion FROM venta ORDER BY creacion DESC, id DESC LIMIT ${limit}`
    : await sql`SELECT id, usuario_id, venta, ventas_productos, creacion FROM venta WHERE usuario_id = ${owner}
                 ORDER BY creacion DESC, id DESC LIMIT ${limit}`
  return Response.json(rows.map(toVenta))
}

const json = (body, status) => new Response(body, { status, headers: { 'Content-Type': 'application/json' } })

// The key, the sale and the answer in one transaction; who comes second waits for the first, and gets its answer.
function createOnce(key, text, body, owner, caller) {
  const print = new Bun.CryptoHasher('sha256').update(text).digest()
  return sql.begin(async (tx) => {
    const [claimed] = await tx`INSERT INTO idempotencia (usuario_id, clave) VALUES (${caller.id}, ${key})
                               ON CONFLICT DO NOTHING RETURNING 1 AS claimed`
    if (!claimed) {
      const [kept] = await tx`SELECT huella, cuerpo FROM idempotencia WHERE usuario_id = ${caller.id} AND clave = ${key}`
      if (!print.equals(kept.huella)) return problem(422, 'La clave es de otra petición')
      return json(kept.cuerpo, 201)
    }
    const [row] = await tx`INSERT INTO venta (usuario_id, venta, ventas_productos)
                           VALUES (${owner}, ${body.venta}, ${body.ventas_productos}) RETURNING id`
    const answer = JSON.stringify({ respuesta: 'Venta creada correctamente', id: Number(row.id) })
    await tx`UPDATE idempotencia SET huella = ${print}, estado = 201, cuerpo = ${Buffer.from(answer)}
              WHERE usuario_id = ${caller.id} AND clave = ${key}`
    return json(answer, 201)
  })
}

const base64url = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
const HEADER = base64url({ alg: 'HS256', typ: 'JWT' })

function sign(claims) {
  const signed = `${HEADER}.${base64url(claims)}`
  return `${signed}.${new Bun.CryptoHasher('sha256', secret).update(signed).digest('base64url')}`
}

// A refresh token has a number, which the session counts: each is good once.
async function renew(request) {
  const body = await request.json().catch(() => null)
  const claims = body?.grant_type === 'refresh_token' && typeof body.refresh_token === 'string' ? claimsOf(body.refresh_token) : null
  if (claims?.typ !== 'refresh') return problem(400, 'refresh_token no válido')
  const [row] = await sql`UPDATE sesion AS s SET contador = contador + 1, uso = now() FROM usuario AS u
                           WHERE s.usuario_id = ${Number(claims.sub)} AND s.id = ${claims.sid} AND s.contador = ${claims.n}
                             AND s.renovable AND s.fin IS NULL AND s.expira > now() AND u.id = s.usuario_id AND NOT u.bloqueado
                           RETURNING s.contador, u.rol`
  if (!row) return problem(400, 'refresh_token no válido')
  const now = Math.floor(Date.now() / 1000)
  return Response.json({
    access_token: sign({ sub: claims.sub, rol: row.rol, sid: claims.sid, iat: now, exp: now + 1800 }),
    token_type: 'bearer',
    expires_in: 1800,
    refresh_token: sign({ sub: claims.sub, sid: claims.sid, n: Number(row.contador), exp: now + 30 * 86400, typ: 'refresh' }),
  }, { headers: { 'Cache-Control': 'no-store' } })
}

async function createVenta(request, caller) {
  const text = await request.text()
  let body = null
  try {
    body = JSON.parse(text)
  } catch {}
  if (!isNewVenta(body)) return problem(422, 'Venta no válida')
  const owner = body.usuario_id ?? caller.id
  if (!caller.admin && owner !== caller.id) return problem(403, 'Sin permiso')
  const key = request.headers.get('idempotency-key')
  if (key) return createOnce(key, text, body, owner, caller)
  const [row] = await sql`INSERT INTO venta (usuario_id, venta, ventas_productos)
                          VALUES (${owner}, ${body.venta}, ${body.ventas_productos}) RETURNING id`
  return Response.json({ respuesta: 'Venta creada correctamente', id: Number(row.id) }, { status: 201 })
}

Bun.serve({
  hostname: '127.0.0.1',
  port: Number(process.env.PORT),
  routes: {
    '/user/': { GET: authenticated(listUsers) },
    '/user/:id': { GET: authenticated(showUser) },
    '/venta/': { GET: authenticated(listVentas), POST: authenticated(createVenta) },
    '/login/': { POST: renew },
    '/venta/:id': { GET: authenticated(showVenta) },
  },
  error: () => problem(500, 'Error interno'),
})

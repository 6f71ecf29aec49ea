// Bun: its own server, router, SQL client and HMAC; nothing else.
import { SQL } from 'bun'
import { timingSafeEqual } from 'node:crypto'

// libpq's URL names a socket's folder in ?host= and no host; Bun wants the socket itself.
const url = new URL(process.env.DATABASE_URL.replace('@/', '@localhost/'))
const sql = new SQL({
  adapter: 'postgres',
  path: `${url.searchParams.get('host')}/.s.PGSQL.${url.searchParams.get('port')}`,
  username: url.username,
  database: url.pathname.slice(1),
  max: 10,
})
const secret = process.env.JWT_SECRET

const problem = (status, detail, headers) => Response.json({ detail }, { status, headers })

// RFC 7519, HS256 only: the signature over "header.payload", then alg and exp. Null when anything is off.
function claimsOf(request) {
  const authorization = request.headers.get('authorization')
  if (!authorization?.startsWith('Bearer ')) return null
  const [header, payload, signature, ...rest] = authorization.slice(7).split('.')
  if (!signature || rest.length) return null
  const expected = new Bun.CryptoHasher('sha256', secret).update(`${header}.${payload}`).digest()
  const given = Buffer.from(signature, 'base64url')
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return null
  if (JSON.parse(Buffer.from(header, 'base64url')).alg !== 'HS256') return null
  const claims = JSON.parse(Buffer.from(payload, 'base64url'))
  return claims.exp > Date.now() / 1000 ? claims : null
}

const authenticated = (handler) => async (request) => {
  const claims = claimsOf(request)
  if (!claims) return problem(401, 'No autenticado', { 'WWW-Authenticate': 'Bearer' })
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

async function createVenta(request, caller) {
  const body = await request.json().catch(() => null)
  if (!isNewVenta(body)) return problem(422, 'Venta no válida')
  const owner = body.usuario_id ?? caller.id
  if (!caller.admin && owner !== caller.id) return problem(403, 'Sin permiso')
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
    '/venta/': { POST: authenticated(createVenta) },
    '/venta/:id': { GET: authenticated(showVenta) },
  },
  error: () => problem(500, 'Error interno'),
})

// Fastify and pg: JSON schemas on both sides, named prepared statements.
import fastifyJwt from '@fastify/jwt'
import Fastify from 'fastify'
import pg from 'pg'
import { createHash } from 'node:crypto'

pg.types.setTypeParser(pg.types.builtins.INT8, Number)
// Here sslmode=require means what it means to libpq: TLS, whoever signed the certificate.
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL.replace('sslmode=require', 'sslmode=no-verify'), min: 10, max: 10 })
const app = Fastify({
  logger: false,
  routerOptions: { ignoreTrailingSlash: true },
  ajv: { customOptions: { removeAdditional: false } },
})

const id = { type: 'integer', minimum: 1 }
const params = { type: 'object', properties: { id } }
const texts = { username: { type: 'string' }, nombre: { type: 'string' }, apellido: { type: 'string' }, correo: { type: 'string' } }
const user = { type: 'object', properties: { id, ...texts } }
const venta = {
  type: 'object',
  properties: {
    id,
    usuario_id: id,
    venta: { type: 'integer' },
    ventas_productos: { type: 'integer' },
    creacion: { type: 'string', format: 'date-time' },
  },
}
const newVenta = {
  type: 'object',
  required: ['venta', 'ventas_productos'],
  additionalProperties: false,
  properties: {
    venta: { type: 'integer', minimum: 0, maximum: 1e15 },
    ventas_productos: { type: 'integer', minimum: 1, maximum: 1e6 },
    usuario_id: id,
  },
}
const page = {
  type: 'object',
  properties: {
    limit: { type: 'integer', minimum: 1, maximum: 1000, default: 100 },
    despues: { type: 'integer', minimum: 0, default: 0 },
  },
}
const created = { type: 'object', properties: { respuesta: { type: 'string' }, id } }

app.register(fastifyJwt, { secret: process.env.JWT_SECRET, verify: { algorithms: ['HS256'], requiredClaims: ['exp', 'sub', 'rol'] } })
app.addHook('onRequest', async (request, reply) => {
  if (request.url === '/login/') return
  await request.jwtVerify()
  if (request.user.typ) return problem(reply, 401, 'No es un token de acceso')
})

const problem = (reply, status, detail) => reply.code(status).send({ detail })

app.get('/user', { schema: { querystring: page, response: { 200: { type: 'array', items: user } } } }, async (request, reply) => {
  if (request.user.rol !== 'admin') return problem(reply, 403, 'Solo un administrador')
  const { rows } = await pool.query({
    name: 'list_users',
    text: 'SELECT id, username, nombre, apellido, correo FROM usuario WHERE id > $1 ORDER BY id LIMIT $2',
    values: [request.query.despues, request.query.limit],
  })
  return rows
})

app.get('/user/:id', { schema: { params, response: { 200: user } } }, async (request, reply) => {
  const { id } = request.params
  if (request.user.rol !== 'admin' && Number(request.user.sub) !== id) return problem(reply, 403, 'Sin permiso')
  const { rows } = await pool.query({
    name: 'show_user',
    text: 'SELECT id, username, nombre, apellido, correo FROM usuario WHERE id = $1',
    values: [id],
  })
  return rows[0] ?? problem(reply, 404, `No existe el usuario con el id ${id}`)
})

app.get('/venta/:id', { schema: { params, response: { 200: venta } } }, async (request, reply) => {
  const { id } = request.params
  const { rows } = await pool.query({
    name: 'show_venta',
    text: `SELECT id, usuario_id, venta, ventas_productos, creacion FROM venta
            WHERE id = $1 AND ($2::bigint IS NULL OR usuario_id = $2)`,
    values: [id, request.user.rol === 'admin' ? null : request.user.sub],
  })
  return rows[0] ?? problem(reply, 404, `No existe la venta con el id ${id}`)
})

app.get('/venta', { schema: { querystring: page, response: { 200: { type: 'array', items: venta } } } }, async (request) => {
  const own = request.user.rol !== 'admin'
  const { rows } = await pool.query({
    name: own ? 'list_ventas' : 'list_all_ventas',
    text: `SELECT id, usuario_id, venta, ventas_productos, creacion FROM venta ${own ? 'WHERE usuario_id = $2' : ''}
            ORDER BY creacion DESC, id DESC LIMIT $1`,
    values: own ? [request.query.limit, request.user.sub] : [request.query.limit],
  })
  return rows
})

// The key, the sale and the answer in one transaction; who comes second waits for the first, and gets its answer.
async function createOnce(client, key, body, owner, user) {
  const print = createHash('sha256').update(JSON.stringify(body)).digest()
  const mine = [user, key]
  const claim = 'INSERT INTO idempotencia (usuario_id, clave) VALUES ($1, $2) ON CONFLICT DO NOTHING'
  const { rowCount } = await client.query({ name: 'claim', text: claim, values: mine })
  if (!rowCount) {
    const stored = 'SELECT huella, cuerpo FROM idempotencia WHERE usuario_id = $1 AND clave = $2'
    const { rows } = await client.query({ name: 'stored', text: stored, values: mine })
    return print.equals(rows[0].huella) ? rows[0].cuerpo.toString() : null
  }
  const { rows } = await client.query({ name: 'create_venta', text: INSERT, values: [owner, body.venta, body.ventas_productos] })
  const answer = JSON.stringify({ respuesta: 'Venta creada correctamente', id: rows[0].id })
  const store = 'UPDATE idempotencia SET huella = $3, estado = 201, cuerpo = $4 WHERE usuario_id = $1 AND clave = $2'
  await client.query({ name: 'store', text: store, values: [...mine, print, Buffer.from(answer)] })
  return answer
}

async function inTransaction(work) {
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    const result = await work(client)
    await client.query('COMMIT')
    return result
  } catch (error) {
    await client.query('ROLLBACK')
    throw error
  } finally {
    client.release()
  }
}

const INSERT = 'INSERT INTO venta (usuario_id, venta, ventas_productos) VALUES ($1, $2, $3) RETURNING id'
const renewal = {
  type: 'object',
  required: ['grant_type', 'refresh_token'],
  properties: { grant_type: { const: 'refresh_token' }, refresh_token: { type: 'string' } },
}

// A refresh token has a number, which the session counts: each is good once.
app.post('/login/', { schema: { body: renewal } }, async (request, reply) => {
  let claims
  try {
    claims = app.jwt.verify(request.body.refresh_token, { requiredClaims: ['exp', 'sub'] })
  } catch {}
  if (claims?.typ !== 'refresh') return problem(reply, 400, 'refresh_token no válido')
  const { rows } = await pool.query({
    name: 'renew',
    text: `UPDATE sesion AS s SET contador = contador + 1, uso = now() FROM usuario AS u
            WHERE s.usuario_id = $1 AND s.id = $2 AND s.contador = $3 AND s.renovable AND s.fin IS NULL AND s.expira > now()
              AND u.id = s.usuario_id AND NOT u.bloqueado
           RETURNING s.contador, u.rol`,
    values: [claims.sub, claims.sid, claims.n],
  })
  if (!rows.length) return problem(reply, 400, 'refresh_token no válido')
  const [{ contador, rol }] = rows
  reply.header('cache-control', 'no-store')
  return {
    access_token: app.jwt.sign({ sub: claims.sub, rol, sid: claims.sid }, { expiresIn: '30m' }),
    token_type: 'bearer',
    expires_in: 1800,
    refresh_token: app.jwt.sign({ sub: claims.sub, sid: claims.sid, n: contador, typ: 'refresh' }, { expiresIn: '30d' }),
  }
})

app.post('/venta', { schema: { body: newVenta, response: { 201: created } } }, async (request, reply) => {
  const owner = request.body.usuario_id ?? Number(request.user.sub)
  if (request.user.rol !== 'admin' && owner !== Number(request.user.sub)) return problem(reply, 403, 'Sin permiso')
  const key = request.headers['idempotency-key']
  if (key) {
    const answer = await inTransaction((client) => createOnce(client, key, request.body, owner, request.user.sub))
    if (answer === null) return problem(reply, 422, 'La clave es de otra petición')
    return reply.code(201).type('application/json').serializer((text) => text).send(answer)
  }
  const { rows } = await pool.query({
    name: 'create_venta',
    text: INSERT,
    values: [owner, request.body.venta, request.body.ventas_productos],
  })
  reply.code(201)
  return { respuesta: 'Venta creada correctamente', id: rows[0].id }
})

await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT) })

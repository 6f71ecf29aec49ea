// Fastify and pg: JSON schemas on both sides, named prepared statements.
import fastifyJwt from '@fastify/jwt'
import Fastify from 'fastify'
import pg from 'pg'

pg.types.setTypeParser(pg.types.builtins.INT8, Number)
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, min: 10, max: 10 })
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
app.addHook('onRequest', (request) => request.jwtVerify())

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

app.post('/venta', { schema: { body: newVenta, response: { 201: created } } }, async (request, reply) => {
  const owner = request.body.usuario_id ?? Number(request.user.sub)
  if (request.user.rol !== 'admin' && owner !== Number(request.user.sub)) return problem(reply, 403, 'Sin permiso')
  const { rows } = await pool.query({
    name: 'create_venta',
    text: 'INSERT INTO venta (usuario_id, venta, ventas_productos) VALUES ($1, $2, $3) RETURNING id',
    values: [owner, request.body.venta, request.body.ventas_productos],
  })
  reply.code(201)
  return { respuesta: 'Venta creada correctamente', id: rows[0].id }
})

await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT) })

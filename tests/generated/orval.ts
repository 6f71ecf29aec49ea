// The story of a client that orval generated: every answer is told apart by its status and its `codigo`.
import { strict as assert } from "node:assert";
import { bulkExport, bulkLoad, loginToken, usersCreate, ventasCreate, ventasIndex, type NewUser, type Venta } from "./ventas";

const eva: NewUser = { username: "eva", password: "una frase larga", nombre: "Eva", apellido: "Paz", telefono: "099123", correo: "eva@example.com" };

async function story(): Promise<void> {
  assert.equal((await usersCreate(eva)).status, 201);
  const taken = await usersCreate(eva);
  if (taken.status !== 409) throw new Error("no 409");
  const repeated: "usuario_repetido" = taken.data.codigo;
  assert.equal(repeated, "usuario_repetido");

  const wrong = await loginToken({ username: "eva", password: "equivocada" });
  assert.ok(wrong.status === 400 && wrong.data.error === "invalid_grant");
  const login = await loginToken({ username: "eva", password: "una frase larga" });
  if (login.status !== 200) throw new Error("no login");
  const asEva = { headers: { Authorization: `Bearer ${login.data.access_token}` } };

  assert.equal((await ventasCreate({ venta: 150000, ventas_productos: 3 }, asEva)).status, 201);
  const refused = await ventasCreate({ venta: -1, ventas_productos: 3 }, asEva);
  if (refused.status !== 422) throw new Error("no 422");
  if (refused.data.codigo !== "datos_invalidos") throw new Error("another 422");
  assert.equal(refused.data.errores[0]?.campo, "venta");

  const file = new Blob(["venta,ventas_productos\n1,1\n2,2\n3,3\n4,4\n"]);
  const loaded = await bulkLoad(file, {}, asEva);
  assert.ok(loaded.status === 201 && loaded.data.filas === 4);

  const sales: Venta[] = [];
  for (let despues: string | undefined; ; ) {
    const page = await ventasIndex({ limit: 2, ...(despues ? { despues } : {}) }, asEva);
    if (page.status !== 200) throw new Error("no page");
    sales.push(...page.data);
    despues = page.headers.get("x-next-cursor") ?? undefined;
    if (!despues) break;
  }
  assert.deepEqual(sales.map(({ venta }) => venta).sort((a, b) => a - b), [1, 2, 3, 4, 150000]);

  const exported = await bulkExport({ formato: "csv" }, asEva);
  if (exported.status !== 200 || !("stream" in exported)) throw new Error("no export"); // orval streams what may be NDJSON
  assert.equal((await exported.stream.text()).trim().split("\n").length, 6);
}

void story();

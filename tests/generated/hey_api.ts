// The story of a client that @hey-api/openapi-ts generated.
import { strict as assert } from "node:assert";
import { bulkExport, bulkLoad, loginToken, usersCreate, ventasCreate, ventasIndex } from "./hey";
import { client } from "./hey/client.gen";
import type { NewUser, Venta } from "./hey";

const eva: NewUser = { username: "eva", password: "una frase larga", nombre: "Eva", apellido: "Paz", telefono: "099123", correo: "eva@example.com" };

async function story(): Promise<void> {
  client.setConfig({ baseUrl: process.env["API_URL"]! });
  assert.equal((await usersCreate({ body: eva })).response?.status, 201);
  const { error: taken } = await usersCreate({ body: eva });
  if (taken?.codigo !== "usuario_repetido") throw new Error("no 409");
  const conflict: 409 = taken.status;
  assert.equal(conflict, 409);

  const { error: wrong } = await loginToken({ body: { username: "eva", password: "equivocada" } });
  if (wrong?.codigo !== "credenciales_invalidas") throw new Error("no 400");
  assert.equal(wrong.error, "invalid_grant");
  const { data: login } = await loginToken({ body: { username: "eva", password: "una frase larga" } });
  client.setConfig({ auth: login!.access_token });

  assert.equal((await ventasCreate({ body: { venta: 150000, ventas_productos: 3 } })).response?.status, 201);
  const { error: refused } = await ventasCreate({ body: { venta: -1, ventas_productos: 3 } });
  if (refused?.codigo !== "datos_invalidos") throw new Error("no 422");
  assert.equal(refused.errores[0]?.campo, "venta");

  const file = new Blob(["venta,ventas_productos\n1,1\n2,2\n3,3\n4,4\n"]);
  const { data: loaded } = await bulkLoad({ body: file });
  assert.equal(loaded?.filas, 4);

  const sales: Venta[] = [];
  for (let despues: string | undefined; ; ) {
    const { data, response } = await ventasIndex({ query: { limit: 2, ...(despues ? { despues } : {}) } });
    sales.push(...data!);
    despues = response?.headers.get("x-next-cursor") ?? undefined;
    if (!despues) break;
  }
  assert.deepEqual(sales.map(({ venta }) => venta).sort((a, b) => a - b), [1, 2, 3, 4, 150000]);

  const { data: exported } = await bulkExport({ query: { formato: "csv" }, parseAs: "text" });
  assert.equal(String(exported).trim().split("\n").length, 6);
}

void story();

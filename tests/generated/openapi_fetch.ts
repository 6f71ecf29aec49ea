// The story of a client of openapi-fetch, with the types that openapi-typescript generated.
import { strict as assert } from "node:assert";
import createClient from "openapi-fetch";
import type { components, paths } from "./openapi";

const eva: components["schemas"]["NewUser"] = {
  username: "eva", password: "una frase larga", nombre: "Eva", apellido: "Paz", telefono: "099123", correo: "eva@example.com",
};

async function story(): Promise<void> {
  const client = createClient<paths>({ baseUrl: process.env["API_URL"]! });
  assert.equal((await client.POST("/user/", { body: eva })).response.status, 201);
  const { error: taken } = await client.POST("/user/", { body: eva });
  if (taken?.codigo !== "usuario_repetido") throw new Error("no 409");
  const conflict: 409 = taken.status;
  assert.equal(conflict, 409);

  const { error: wrong } = await client.POST("/login/", { body: { username: "eva", password: "equivocada" } });
  if (wrong?.codigo !== "credenciales_invalidas") throw new Error("no 400");
  assert.equal(wrong.error, "invalid_grant");
  const { data: login } = await client.POST("/login/", { body: { username: "eva", password: "una frase larga" } });
  client.use({ onRequest: ({ request }) => request.headers.set("Authorization", `Bearer ${login!.access_token}`) });

  const sold = await client.POST("/venta/", { body: { venta: 150000, ventas_productos: 3 } });
  assert.equal(sold.response.status, 201);
  const { error: refused } = await client.POST("/venta/", { body: { venta: -1, ventas_productos: 3 } });
  if (refused?.codigo !== "datos_invalidos") throw new Error("no 422");
  assert.equal(refused.errores[0]?.campo, "venta");

  const { data: loaded } = await client.POST("/venta/importar", {
    body: "venta,ventas_productos\n1,1\n2,2\n3,3\n4,4\n",
    headers: { "Content-Type": "text/csv" },
    bodySerializer: (file) => file,
  });
  assert.equal(loaded?.filas, 4);

  const sales: components["schemas"]["Venta"][] = [];
  for (let despues: string | undefined; ; ) {
    const { data, response } = await client.GET("/venta/", { params: { query: { limit: 2, ...(despues ? { despues } : {}) } } });
    sales.push(...data!);
    despues = response.headers.get("x-next-cursor") ?? undefined;
    if (!despues) break;
  }
  assert.deepEqual(sales.map(({ venta }) => venta).sort((a, b) => a - b), [1, 2, 3, 4, 150000]);

  const { data: exported } = await client.GET("/venta/exportar", { params: { query: { formato: "csv" } }, parseAs: "text" });
  assert.equal(exported!.trim().split("\n").length, 6);
}

void story();

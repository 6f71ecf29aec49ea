// A strict OAuth client library at the token endpoint: log in, see what was refused, renew, log out.
import { strict as assert } from "node:assert";
import * as oauth from "oauth4webapi";

const options = { [oauth.allowInsecureRequests]: true };
const issuer = new URL(process.env.API_URL);
const discovered = await oauth.discoveryRequest(issuer, { ...options, algorithm: "oauth2" });
const server = await oauth.processDiscoveryResponse(issuer, discovered);
const client = { client_id: "app" };

async function grant(type, parameters) {
  const answer = await oauth.genericTokenEndpointRequest(server, client, oauth.None(), type, parameters, options);
  return oauth.processGenericTokenEndpointResponse(server, client, answer);
}

const refused = (error, status) => (raised) => raised.error === error && raised.status === status;

const ana = { username: "ana", password: "una clave larga", scope: "offline_access" };
await assert.rejects(grant("password", { ...ana, password: "equivocada" }), refused("invalid_grant", 400));
await assert.rejects(grant("password", { username: "ana" }), refused("invalid_request", 400));
await assert.rejects(grant("refresh_token", { refresh_token: "nada" }), refused("invalid_grant", 400));
await assert.rejects(grant("magia", {}), refused("unsupported_grant_type", 400));

const first = await grant("password", ana);
const second = await grant("refresh_token", { refresh_token: first.refresh_token });
assert.notEqual(second.refresh_token, first.refresh_token);
const revoked = await oauth.revocationRequest(server, client, oauth.None(), second.refresh_token, options);
await oauth.processRevocationResponse(revoked);
await assert.rejects(grant("refresh_token", { refresh_token: second.refresh_token }), refused("invalid_grant", 400));

// Names of users by their ids, asked for once.
import { get } from "./api.js";

const names = new Map();

export function nameOf(id) {
  if (!names.has(Number(id))) {
    const asked = get(`user/${id}`).then(({ body }) => fullName(body), () => `Usuario ${id}`);
    names.set(Number(id), asked);
  }
  return names.get(Number(id));
}

export const fullName = ({ nombre, apellido }) => `${nombre} ${apellido}`;

export const forgetNames = () => names.clear();

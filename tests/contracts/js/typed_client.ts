// Typed by the five documents: it compiles while they say what it needs, and runs while the services do it.
import createClient, { type Middleware } from "openapi-fetch";
import type { paths as Auth } from "./auth.d.ts";
import type { paths as Gateway } from "./gateway-ws.d.ts";
import type { paths as Media } from "./media.d.ts";
import type { components, paths as Messaging } from "./messaging.d.ts";
import type { components as RoomComponents, paths as Rooms } from "./rooms.d.ts";

const [baseUrl, name] = process.argv.slice(2) as [string, string];
const account = { username: name, email: `${name}@example.org`, password: "correct horse 42 battery" };

function done<T, E extends { code: string }>(answer: { data?: T; error?: E }): T {
  if (answer.data === undefined) throw new Error(`refused: ${answer.error?.code}`);
  return answer.data;
}

const auth = createClient<Auth>({ baseUrl });
done(await auth.POST("/api/v1/auth/register", { body: account }));
const { data: session } = done(await auth.POST("/api/v1/auth/login", { body: account }));

const bearer: Middleware = {
  onRequest: ({ request }) => request.headers.set("authorization", `Bearer ${session.accessToken}`) as void,
};
const rooms = createClient<Rooms>({ baseUrl });
const messaging = createClient<Messaging>({ baseUrl });
const media = createClient<Media>({ baseUrl });
const gateway = createClient<Gateway>({ baseUrl });
for (const client of [auth, rooms, messaging, media, gateway]) client.use(bearer);

const room: RoomComponents["schemas"]["MyRoomBody"] = done(
  await rooms.POST("/api/v1/room", { body: { roomName: "typed", roomType: "public", description: "" } }),
).data;
const sent: components["schemas"]["SentMessage"] = done(
  await messaging.POST("/api/v1/room/{room_id}/messages", {
    params: { path: { room_id: room.id } },
    body: { content: "hello", messageType: "text" },
  }),
).data;
const history = done(
  await messaging.GET("/api/v1/room/{room_id}/messages", {
    params: { path: { room_id: room.id }, query: { limit: 10 } },
  }),
).data;
const lost = await media.GET("/api/v1/media/{media_id}/link", { params: { path: { media_id: room.id } } });
if (lost.error === undefined) throw new Error("there is a file with the id of a room");
// All that it may be refused with, and nothing else.
const code: "media_not_found" | "unauthenticated" | "unavailable" | "validation_failed" = lost.error.code;

console.log(JSON.stringify({ user: session.user.username, seq: sent.seq, contents: history.messages.map((m) => m.content), code }));

// An echo server, and a room that is broadcast to, on Bun, whose WebSockets are uWebSockets: C++ up to the handler, JavaScript in it. Without compression
// and pings, like everybody. Commands on standard input: settle, quit.
const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request, server) {
        const options = request.url.endsWith("/room") ? { data: "room" } : undefined;
        return server.upgrade(request, options) ? undefined : new Response(null, { status: 400 });
    },
    websocket: {
        perMessageDeflate: false,
        sendPings: false,
        idleTimeout: 0,
        maxPayloadLength: 1 << 30,
        backpressureLimit: 1 << 30,
        open(socket) {
            if (socket.data === "room") socket.subscribe("room");
        },
        message(socket, message) {
            if (socket.data === "room") publish(...message.split(" ").map(Number));
            else socket.send(message);
        },
    },
});

function publish(messages, size) {
    const message = new Uint8Array(size);
    while (messages--) server.publish("room", message);
}

console.log(`ok port=${server.port}`);
for await (const command of console) {
    if (command === "quit") break;
    if (command === "settle") Bun.gc(true);
    console.log(command === "settle" ? "ok" : "error unknown command");
}
process.exit();

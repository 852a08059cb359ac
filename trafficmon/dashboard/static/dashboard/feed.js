// The WebSocket: connects, notices a dead connection, and comes back with growing pauses.

import { correct } from "./clock.js";

const SHORTEST_PAUSE = 500;
const LONGEST_PAUSE = 15_000;
const SIGNED_OUT = 4401;
const PICTURE_HEADER_BYTES = 4;

/** Dispatches `message` ({type, data, jpeg}) and `state` ("connecting", "connected", "lost", "signed out"). */
export class Feed extends EventTarget {
  #address;
  #socket = null;
  #failures = 0;
  #retry = null;
  #silence = null;
  #heartbeat = 30_000;
  #pings = new Map();

  /** `address` is asked anew for each connection. */
  constructor(address) {
    super();
    this.#address = address;
    addEventListener("online", () => this.#retryNow());
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.#retryNow(); });
  }

  open() {
    clearTimeout(this.#retry);
    this.#retry = null;
    const socket = new WebSocket(this.#address());
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.#listenForSilence();
    socket.addEventListener("message", (event) => { if (socket === this.#socket) this.#receive(event.data); });
    socket.addEventListener("close", (event) => { if (socket === this.#socket) this.#closed(event.code); });
  }

  send(type, data = {}) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify({ type, data }));
  }

  #receive(content) {
    this.#listenForSilence();
    const message = typeof content === "string" ? JSON.parse(content) : unpack(content);
    if (message.type === "connection_ack") this.#acknowledged(message.data);
    if (message.type === "ping") this.#ping();
    if (message.type === "pong") this.#timed(message.data);
    const received = performance.now();
    this.dispatchEvent(new CustomEvent("message", { detail: message }));
    if (isTraced(message.data?.traceparent)) this.#reportDrawn(message.data.traceparent, received);
  }

  // What the listeners changed is on the screen when the frame after the next one begins; in a hidden tab, never.
  #reportDrawn(traceparent, received) {
    requestAnimationFrame(() => requestAnimationFrame((drawn) => {
      const now = performance.now();
      this.send("drawn", { traceparent, receivedAgoMs: now - received, drawnAgoMs: Math.max(0, now - drawn) });
    }));
  }

  #acknowledged(data) {
    this.#failures = 0;
    this.#heartbeat = data.heartbeatSeconds * 1_000;
    this.#listenForSilence();
    correct(data.serverTime);
    this.#ping();
    this.#say("connected");
  }

  #ping() {
    const echo = performance.now();
    this.#pings.set(echo, echo);
    this.send("ping", { echo });
  }

  #timed(data) {
    if (this.#pings.delete(data.echo)) correct(data.serverTime, performance.now() - data.echo);
  }

  // A half-open connection says nothing and never closes: two missed heartbeats mean that it is dead.
  #listenForSilence() {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#abandon(), Math.min(this.#heartbeat, 30_000) * 2.2);
  }

  #abandon() {
    const socket = this.#socket;
    this.#closed(1006);
    socket?.close();
  }

  #closed(code) {
    this.#socket = null;
    this.#pings.clear();
    clearTimeout(this.#silence);
    if (code === SIGNED_OUT) {
      this.#say("signed out");
      return;
    }
    const pause = Math.min(LONGEST_PAUSE, SHORTEST_PAUSE * 2 ** this.#failures) * (0.75 + Math.random() / 2);
    this.#failures += 1;
    this.#retry = setTimeout(() => this.open(), pause);
    this.#say("lost", pause);
  }

  #retryNow() {
    if (this.#retry !== null) this.open();
  }

  #say(state, pause = 0) {
    this.dispatchEvent(new CustomEvent("state", { detail: { state, pause } }));
  }
}

/** Whether the server keeps this trace: the flags' last bit says so. */
function isTraced(traceparent) {
  return Boolean(traceparent) && (parseInt(traceparent.slice(-2), 16) & 1) === 1;
}

/** A binary message: length of the JSON, the JSON, the JPEG. */
function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0);
  const text = new TextDecoder().decode(new Uint8Array(buffer, PICTURE_HEADER_BYTES, length));
  return { ...JSON.parse(text), jpeg: new Blob([new Uint8Array(buffer, PICTURE_HEADER_BYTES + length)], { type: "image/jpeg" }) };
}

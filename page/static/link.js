// The control socket: commands out, state in. Comes back by itself after a lost connection.

const AGAIN_MS = [250, 500, 1000, 2000];
const DRIVES = 128;

class Link extends EventTarget {
  #socket = null;
  #tries = 0;
  #turning = new Map();

  get open() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  connect() {
    const socket = new WebSocket(`ws://${location.host}/control`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.#tries = 0;
      this.#tell("open");
    };
    socket.onmessage = ({ data }) => {
      if (typeof data !== "string") return this.#tell("columns", columnsOf(data));
      for (const [name, value] of Object.entries(JSON.parse(data))) this.#tell(name, value);
    };
    socket.onclose = () => {
      this.#tell("close");
      const wait = AGAIN_MS[Math.min(this.#tries++, AGAIN_MS.length - 1)];
      setTimeout(() => this.connect(), wait);
    };
    this.#socket = socket;
  }

  /** Send a command now. What cannot be sent is lost: a late note would be worse. */
  send(address, ...values) {
    if (this.open) this.#socket.send(JSON.stringify([address, ...values]));
  }

  /** Send a setting that may change many times a second: only the last value of each frame. */
  turn(address, ...values) {
    if (!this.#turning.size) requestAnimationFrame(() => this.#flush());
    this.#turning.set(address, values);
  }

  on(name, act) {
    this.addEventListener(name, (event) => act(event.detail));
  }

  #flush() {
    for (const [address, values] of this.#turning) this.send(address, ...values);
    this.#turning.clear();
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

/** A binary message as columns; page/columns.py has the layout. */
function columnsOf(buffer) {
  const view = new DataView(buffer);
  const columns = [];
  for (let at = 0; at < buffer.byteLength; ) {
    const end = at + 2 + view.getUint16(at, true);
    at += 2;
    const column = {
      number: view.getFloat64(at, true),
      left: view.getFloat32(at + 8, true),
      right: view.getFloat32(at + 12, true),
      limited: Boolean(view.getUint8(at + 16) & 1),
      levels: [],
      drivers: [],
      notes: [],
      mel: null,
    };
    const hasMel = view.getUint8(at + 16) & 2;
    const levels = view.getUint8(at + 17);
    const notes = view.getUint16(at + 18, true);
    at += 20;
    for (let i = 0; i < levels; i++, at += 5) {
      const [part, peak] = [view.getUint8(at), view.getFloat32(at + 1, true)];
      column.levels.push([part & ~DRIVES, peak]);
      if (part & DRIVES) column.drivers.push(part & ~DRIVES);
    }
    for (let i = 0; i < notes; i++, at += 3) {
      column.notes.push([view.getUint8(at), view.getUint8(at + 1), view.getUint8(at + 2)]);
    }
    if (hasMel) column.mel = new Uint8Array(buffer, at, end - at);
    columns.push(column);
    at = end;
  }
  return columns;
}

export const link = new Link();

// Plays what comes in blocks, evenly: it waits until some sound is there, plays it, and holds more
// ready when the network is uneven, less when it is even for a while.

const CAPACITY = 1 << 17;
const LEAST_MS = 20;
const MOST_MS = 400;
const GROW = 1.4;
const WATCH_S = 5; // how long the buffer is watched before it is made shorter
const LONGEST_WATCH_S = 80; // each drop-out doubles that time, each watch without one halves it
const SPARE_MS = 8; // what it must never have fallen below in that time
const FADE = 64;
const REPORT_S = 0.25;

class Stream extends AudioWorkletProcessor {
  constructor() {
    super();
    this.rings = [new Float32Array(CAPACITY), new Float32Array(CAPACITY)];
    this.read = this.written = 0;
    this.playing = this.ended = false;
    this.target = this.samples(LEAST_MS);
    this.least = Infinity;
    this.watched = this.told = 0;
    this.watch = WATCH_S;
    this.dropouts = this.lately = this.missed = 0;
    this.expected = null;
    this.last = [0, 0];
    this.port.onmessage = ({ data }) => {
      data.port.onmessage = (event) => this.take(event.data);
    };
  }

  samples(ms) {
    return Math.round((ms * sampleRate) / 1000);
  }

  get buffered() {
    return this.written - this.read;
  }

  /** Take a message: position, then samples; without samples it is the end of a sound. */
  take(buffer) {
    if (buffer === null || buffer.byteLength <= 8) {
      this.ended = true;
      this.expected = null;
      return;
    }
    const position = new DataView(buffer).getFloat64(0, true);
    const samples = new Int16Array(buffer, 8);
    const count = samples.length / 2;
    if (this.expected !== null && position !== this.expected) this.missed++;
    this.expected = position + count;
    this.ended = false;
    if (this.buffered + count > CAPACITY) this.read = this.written - this.target;
    for (let i = 0, at = this.written; i < count; i++, at++) {
      this.rings[0][at % CAPACITY] = samples[2 * i] / 32768;
      this.rings[1][at % CAPACITY] = samples[2 * i + 1] / 32768;
    }
    this.written += count;
  }

  process(_, [output]) {
    const count = output[0].length;
    // After a stall all that was missed comes at once: only the newest is worth playing.
    if (this.buffered > this.target + this.samples(150)) this.skip(this.buffered - this.target);
    if (!this.playing && (this.buffered >= this.target || (this.ended && this.buffered))) this.playing = true;
    if (this.playing) this.play(output, count);
    else this.fade(output, count, 0);
    this.report(count);
    return true;
  }

  play(output, count) {
    const ready = Math.min(this.buffered, count);
    for (let i = 0; i < ready; i++) {
      const at = (this.read + i) % CAPACITY;
      output[0][i] = this.rings[0][at];
      output[1][i] = this.rings[1][at];
    }
    this.read += ready;
    if (ready) this.last = [output[0][ready - 1], output[1][ready - 1]];
    if (ready < count) {
      this.fade(output, count, ready);
      this.playing = false;
      if (!this.ended) {
        this.dropouts++;
        this.lately++;
        this.watch = Math.min(2 * this.watch, LONGEST_WATCH_S);
        this.target = Math.min(this.target * GROW, this.samples(MOST_MS));
      }
      this.least = Infinity;
      if (!this.ended) this.watched = 0;
      return;
    }
    this.least = Math.min(this.least, this.buffered);
    this.watched += count;
    if (this.watched > this.watch * sampleRate) {
      const spare = this.least - this.samples(SPARE_MS);
      if (spare > this.samples(SPARE_MS)) {
        this.skip(spare);
        this.target = Math.max(this.target - spare, this.samples(LEAST_MS));
      }
      this.watch = Math.max(this.watch / 2, WATCH_S);
      this.least = Infinity;
      this.watched = this.lately = 0;
    }
  }

  /** Leave out samples; the sound before runs into the sound after, so that nothing clicks. */
  skip(count) {
    const fade = Math.min(FADE, this.buffered - count);
    for (const ring of this.rings) {
      for (let i = 0; i < fade; i++) {
        const [from, to] = [(this.read + i) % CAPACITY, (this.read + count + i) % CAPACITY];
        ring[to] = (ring[from] * (fade - i) + ring[to] * i) / fade;
      }
    }
    this.read += count;
  }

  /** Let the last sample fade, from here to the end of the block. */
  fade(output, count, from) {
    for (let i = from; i < count; i++) {
      const left = Math.max(1 - (i - from) / FADE, 0);
      output[0][i] = this.last[0] * left;
      output[1][i] = this.last[1] * left;
    }
    this.last = [0, 0];
  }

  report(count) {
    this.told += count;
    if (this.told < REPORT_S * sampleRate) return;
    this.told = 0;
    const ms = (samples) => (1000 * samples) / sampleRate;
    this.port.postMessage({
      playing: this.playing,
      buffered: ms(this.buffered),
      target: ms(this.target),
      dropouts: this.dropouts,
      lately: this.lately,
      missed: this.missed,
    });
  }
}

registerProcessor("stream", Stream);

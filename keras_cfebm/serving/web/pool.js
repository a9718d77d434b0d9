/** Worker threads that share a batch of chains, on the fastest backend there is. */

export const BACKENDS = { wasm: "WebAssembly", webgl: "WebGL", cpu: "plain JavaScript" };
const MOST_WORKERS = 4;
/** Images of the step by which backends are compared. */
const TIMED = 16;

/** One thread; a promise for each request. */
class Thread {
  constructor() {
    this.worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    this.open = new Map();
    this.last = 0;
    this.worker.onmessage = ({ data: { id, state, result, error } }) => {
      const asked = this.open.get(id);
      if (!asked) return; // it was closed meanwhile
      if (state) return asked.onState(state);
      this.open.delete(id);
      if (error === undefined) asked.resolve(result);
      else asked.reject(new Error(error));
    };
    this.worker.onerror = (event) => this.fail(event.message ?? "This browser has no workers.");
  }

  /** Ends all that was asked. */
  fail(message) {
    for (const { reject } of this.open.values()) reject(new Error(message));
    this.open.clear();
  }

  ask(kind, request, onState) {
    const id = ++this.last;
    this.worker.postMessage({ ...request, kind, id });
    return new Promise((resolve, reject) => this.open.set(id, { resolve, reject, onState }));
  }

  stop() {
    for (const id of this.open.keys()) this.worker.postMessage({ kind: "stop", id });
  }
}

export class Pool {
  /**
   * Opens a model; fails if the browser lacks the backend.
   *
   * @param name the model's.
   * @param backend one of `BACKENDS`. WebGL has one thread, the others one per core.
   */
  static async of(name, backend) {
    const pool = new Pool();
    const cores = Math.min(navigator.hardwareConcurrency || 2, MOST_WORKERS);
    pool.backend = backend;
    pool.threads = Array.from({ length: backend === "webgl" ? 1 : cores }, () => new Thread());
    try {
      const opened = pool.threads.map((thread) => thread.ask("open", { backend, name }));
      pool.examples = (await Promise.all(opened))[0].examples;
      const count = backend === "cpu" ? 1 : TIMED / pool.threads.length;
      const took = await Promise.all(pool.threads.map((thread) => thread.ask("time", { count })));
      const longest = Math.max(...took.map((answer) => answer.took));
      /** Milliseconds that a step takes per image of the finest level. */
      pool.perImage = longest / (count * pool.threads.length);
      return pool;
    } catch (error) {
      pool.close();
      throw error;
    }
  }

  /**
   * Opens a model on the fastest backend: on WebGL, if there is a graphics card and that
   * is faster than WebAssembly; on plain JavaScript where there is no WebAssembly.
   */
  static async fastest(name) {
    const usual = await Pool.of(name, "wasm").catch(() => Pool.of(name, "cpu"));
    if (!hasGraphicsCard()) return usual;
    const other = await Pool.of(name, "webgl").catch(() => null);
    if (!other || other.perImage >= usual.perImage) {
      other?.close();
      return usual;
    }
    usual.close();
    return other;
  }

  close() {
    for (const thread of this.threads) {
      thread.worker.terminate();
      thread.fail("The model was closed.");
    }
  }

  stop() {
    for (const thread of this.threads) thread.stop();
  }

  /**
   * Runs `count` chains, each thread a part of them.
   *
   * @param onState called with `(part's first image, {level, step, side, x, energies})`.
   * @returns the movement of all chains at one level, or null.
   */
  async chain(request, count, onState) {
    const parts = this.threads.map((thread, i) => {
      const [from, to] = [i, i + 1].map((n) => Math.round((n * count) / this.threads.length));
      const own = { ...request, from, to };
      return from < to ? thread.ask("chain", own, (state) => onState(from, state)) : { moved: null };
    });
    const moved = (await Promise.all(parts)).map((part) => part.moved).filter(Boolean);
    return moved.length ? Float32Array.from(moved.flatMap((part) => [...part])) : null;
  }

  /** See `judge` in `worker.js`. */
  judge(image, label) {
    return this.threads.at(-1).ask("judge", { image, label });
  }
}

/** Whether WebGL runs on a graphics card: in software WebAssembly is far ahead. */
function hasGraphicsCard() {
  const context = document.createElement("canvas").getContext("webgl2");
  if (!context) return false;
  const info = context.getExtension("WEBGL_debug_renderer_info");
  const renderer = context.getParameter(info?.UNMASKED_RENDERER_WEBGL ?? context.RENDERER);
  context.getExtension("WEBGL_lose_context")?.loseContext();
  return !/swiftshader|llvmpipe|software|basic render/i.test(renderer);
}

// MZSR beside the page, so that the page stays alive: the same update as mzsr_lib.mzsr.adaptation, by onnxruntime-web.
// The graphs and the numbers are written by docs/export_onnx.py.

import * as imaging from "./imaging.js";
import * as ort from "./onnxruntime/ort.wasm.bundle.min.mjs";

ort.env.wasm.wasmPaths = { wasm: new URL("./onnxruntime/ort-wasm-simd-threaded.wasm", import.meta.url).href };
ort.env.wasm.numThreads = 1; // more need headers that a plain file server does not send

async function fetched(name) {
  const answer = await fetch(new URL(`./mzsr/${name}`, import.meta.url));
  if (!answer.ok) throw new Error(`${name} could not be loaded (${answer.status}).`);
  return answer;
}

/** The two sessions, the first weights, and for each step the rates and the matrices of the learned step. */
async function load() {
  const { weights, shapes } = await (await fetched("weights.json")).json();
  const numbers = await (await fetched("weights.bin")).arrayBuffer(), all = {};
  let place = 0;
  for (const [name, shape] of Object.entries(shapes)) {
    const count = shape.reduce((a, b) => a * b);
    all[name] = { shape, data: new Float32Array(numbers, 4 * place, count) };
    place += count;
  }
  const session = async (name) => ort.InferenceSession.create(await (await fetched(name)).arrayBuffer());
  const start = Object.fromEntries(weights.map((name) => [name, new ort.Tensor(all[name].data, all[name].shape)]));
  const axes = Object.keys(shapes).filter((name) => name !== "rates" && !weights.includes(name));
  const [steps, columns] = all.rates.shape;
  const inner = (step, factor) => {
    const row = Math.min(step, steps - 1) * columns, given = {};
    weights.forEach((name, i) => { given[`rate:${name}`] = new ort.Tensor(Float32Array.of(factor * all.rates.data[row + i]), [1]); });
    for (const name of axes) {
      const [sets, side] = all[name].shape, set = Math.min(step, sets - 1);
      given[name] = new ort.Tensor(all[name].data.subarray(set * side * side, (set + 1) * side * side), [side, side]);
    }
    return given;
  };
  return { weights, start, inner, network: await session("network.onnx"), update: await session("update.onnx") };
}

function tensor(picture) {
  const { height, width } = picture[0], data = new Float32Array(3 * height * width);
  picture.forEach((channel, k) => data.set(channel.data, k * height * width));
  return new ort.Tensor(data, [1, 3, height, width]);
}

function planes({ data, dims }) {
  const [, , height, width] = dims, count = height * width;
  const clipped = (k) => Float64Array.from(data.subarray(k * count, (k + 1) * count), (value) => Math.min(1, Math.max(0, value)));
  return [0, 1, 2].map((k) => imaging.plane(height, width, clipped(k)));
}

function between(from, to, share) {
  const mixed = (a, b) => new ort.Tensor(a.data.map((value, i) => value + share * (b.data[i] - value)), a.dims);
  return Object.fromEntries(Object.keys(from).map((name) => [name, mixed(from[name], to[name])]));
}

/** Yield the weights after 0, 1, 2, ... updates; a step that raises the loss is taken back half-way (`Guarded`). */
async function* updates(model, lr, kernel, mode, count) {
  const son = imaging.degrade(lr, kernel, mode);
  const given = { input: tensor(son.map(imaging.upscale)), target: tensor(lr) };
  let params = model.start, best = null, least = Infinity, factor = 1, taken = 0;
  yield { params, loss: null };
  for (let step = 0; step < count; step++) {
    const found = await model.update.run({ ...given, ...params, ...model.inner(taken, factor) }), [loss] = found.loss.data;
    if (best && !(loss <= least)) {
      factor /= 2;
      params = Number.isFinite(loss) ? between(best, params, 0.5) : best;
    } else {
      [best, least] = [params, loss];
      taken += 1;
      params = Object.fromEntries(model.weights.map((name) => [name, found[`new:${name}`]]));
    }
    yield { params, loss };
  }
}

let model;
self.onmessage = async ({ data: { lr, kernel, mode, shown } }) => {
  try {
    model ??= load();
    const ready = await model, enlarged = tensor(lr.map(imaging.upscale));
    let taken = 0;
    self.postMessage({ kind: "ready" });
    for await (const { params, loss } of updates(ready, lr, kernel, mode, Math.max(...shown))) {
      if (loss !== null) self.postMessage({ kind: "update", taken, loss });
      if (shown.includes(taken)) {
        const { output } = await ready.network.run({ input: enlarged, ...params });
        self.postMessage({ kind: "picture", taken, picture: planes(output) });
      }
      taken += 1;
    }
    self.postMessage({ kind: "done" });
  } catch (error) {
    model = undefined; // what could not be loaded is tried again
    self.postMessage({ kind: "failed", reason: error.message });
  }
};

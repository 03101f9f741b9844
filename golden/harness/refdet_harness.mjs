// A complete harness for Node.js: box_iou, nms, roi_align and max_pool2d, tested by refdet verify.
//
//     refdet verify --command "node refdet_harness.mjs"
//
// From the top: tensors, the deviations that can be switched on, the four algorithms, the conversation. To test code of
// your own, keep the first and the last, and call your code from ALGORITHMS.
//
// With --wrong=KEY it goes wrong in a known way (see WRONG below), so that one can watch refdet name the mistake.
// The numbers are float32. It computes no gradients: they may be left out of an answer. Answers go back in the line
// itself; refdet_harness.cpp writes them to files instead.

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

class Skip extends Error {} // thrown for what is not implemented; the message is the reason

// --- Tensors: { dtype, shape, values }, values in row-major order ----------------------------------------------------

const INPUT_TYPES = {
  F32: { size: 4, read: (view, at) => view.getFloat32(at, true) }, // true: little-endian
  I64: { size: 8, read: (view, at) => Number(view.getBigInt64(at, true)) },
  BOOL: { size: 1, read: (view, at) => view.getUint8(at) !== 0 },
};
const ANSWER_TYPES = {
  float32: { size: 4, write: (view, at, value) => view.setFloat32(at, value, true) },
  int64: { size: 8, write: (view, at, value) => view.setBigInt64(at, BigInt(value), true) },
};

// A .safetensors file: eight bytes of length, so much JSON, then the elements.
function readTensor({ file, key }) {
  const bytes = readFileSync(file);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerSize = Number(view.getBigUint64(0, true));
  const entry = JSON.parse(bytes.toString("utf8", 8, 8 + headerSize))[key];
  if (!entry) throw new Error(`${file} has no tensor ${key}`);
  const type = INPUT_TYPES[entry.dtype];
  if (!type) throw new Skip(`this harness has no ${entry.dtype}`);
  const length = entry.shape.reduce((product, size) => product * size, 1);
  const begin = 8 + headerSize + entry.data_offsets[0];
  const values = Array.from({ length }, (_, i) => type.read(view, begin + i * type.size));
  return { dtype: entry.dtype, shape: entry.shape, values };
}

// The form of a tensor in an answer: the bytes of its elements, two hexadecimal digits each.
function inline({ dtype, shape, values }) {
  const { size, write } = ANSWER_TYPES[dtype];
  const view = new DataView(new ArrayBuffer(values.length * size));
  values.forEach((value, i) => write(view, i * size, value));
  return { dtype, shape, hex: Buffer.from(view.buffer).toString("hex") };
}

// --- Deviations: what other implementations do, each under the key that refdet knows it by ---------------------------

const WRONG = {
  "box.plus1=yes": "the width of a box is x2 - x1 + 1",
  "maxpool.emptywin=0": "a window without a pixel gives 0",
  "nms.cmp=ge": "suppresses where IoU >= threshold",
  "nms.tie=last": "argsort, reversed: of equal scores the last comes first, and NaN before all numbers",
  "roi.max=weighted": "takes the largest of the weighted pixels, not of the points",
  "roi.min1=always": "a region is at least one pixel of the map long, aligned or not",
  "roi.offset=0": "no shift by half a pixel",
  "roi.sampling=adaptive": "as many points as pixels, whatever sampling_ratio says",
};
const wrong = new Set(); // those that are switched on

// --- The algorithms --------------------------------------------------------------------------------------------------
// What their parameters mean is said by `refdet explain box_iou`, and so on.

const f32 = Math.fround; // rounds to float32; so each operation on float32 numbers is that of float32
const boxAt = (boxes, i) => boxes.values.slice(4 * i, 4 * i + 4);

function side(low, high, offset) {
  return Math.max(0, f32(f32(high - low) + offset)); // Math.max, unlike many others, hands on a NaN
}

function area([x1, y1, x2, y2], offset) {
  return f32(side(x1, x2, offset) * side(y1, y2, offset));
}

// Intersection over union of two boxes (x1, y1, x2, y2), in float32; over the area of p where q is a crowd.
function iou(p, q, { crowd = false, empty = "zero", offset }) {
  if (wrong.has("box.plus1=yes")) offset = 1;
  const corners = [Math.max(p[0], q[0]), Math.max(p[1], q[1]), Math.min(p[2], q[2]), Math.min(p[3], q[3])];
  const shared = area(corners, offset);
  const ofP = area(p, offset);
  const whole = crowd ? ofP : f32(f32(ofP + area(q, offset)) - shared);
  if (shared === 0 && whole === 0) return empty === "nan" ? NaN : 0;
  return f32(shared / whole);
}

function boxIou({ boxes, others, crowd }, { empty, offset }) {
  const [n, m] = [boxes.shape[0], others.shape[0]];
  const values = [];
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < m; j++) {
      values.push(iou(boxAt(boxes, i), boxAt(others, j), { crowd: crowd?.values[j], empty, offset }));
    }
  }
  return { iou: { dtype: "float32", shape: [n, m], values } };
}

function nms({ boxes, scores }, { threshold, offset }) {
  const limit = f32(threshold);
  const order = scores.values.map((_, i) => i);
  const sign = wrong.has("nms.tie=last") ? -1 : 1; // sorted in ascending order, and reversed
  order.sort((i, j) => {
    const [a, b] = [sign * scores.values[i], sign * scores.values[j]];
    return Number.isNaN(a) - Number.isNaN(b) || (a < b) - (a > b); // descending, NaN last; sort is stable
  });
  if (wrong.has("nms.tie=last")) order.reverse();
  const eliminated = new Set();
  const kept = [];
  order.forEach((i, rank) => {
    if (eliminated.has(i)) return;
    kept.push(i);
    for (const j of order.slice(rank + 1)) {
      const overlap = iou(boxAt(boxes, i), boxAt(boxes, j), { offset });
      if (overlap > limit || (wrong.has("nms.cmp=ge") && overlap === limit)) eliminated.add(j);
    }
  });
  return { kept: { dtype: "int64", shape: [kept.length], values: kept } };
}

// The pixels of an axis that a point lies between, with their weights; a pixel that does not exist is not among them.
function tapsAt(point, nPixels, border) {
  if (!(point >= -1 && point <= nPixels) || nPixels === 0) return []; // too far out
  const inside = border === "kernel" ? Math.max(0, Math.min(point, nPixels - 1)) : point;
  const first = Math.floor(inside);
  const taps = [
    { pixel: first, weight: 1 - (inside - first) },
    { pixel: first + 1, weight: inside - first },
  ];
  if (border === "zero_decay") return taps.filter(({ pixel }) => pixel >= 0 && pixel < nPixels);
  return taps.map(({ pixel, weight }) => ({ pixel: Math.min(pixel, nPixels - 1), weight }));
}

// Where a region from `low` to `high` is sampled along an axis: for each bin, the taps of its points.
function axisTaps(low, high, nBins, nPixels, { scale, sampling_ratio, aligned, border }) {
  const half = aligned && !wrong.has("roi.offset=0") ? 0.5 : 0;
  const start = low * scale - half;
  let length = high * scale - half - start;
  if (!aligned || wrong.has("roi.min1=always")) length = Math.max(length, 1);
  const bin = length / nBins;
  const ratio = wrong.has("roi.sampling=adaptive") ? 0 : sampling_ratio;
  const nPoints = ratio || Math.max(0, Math.ceil(bin));
  return Array.from({ length: nBins }, (_, p) =>
    Array.from({ length: nPoints }, (_, i) => tapsAt(start + p * bin + ((i + 0.5) * bin) / nPoints, nPixels, border)),
  );
}

// The mean, or the largest, of the features at the points of one bin; 0 without points.
function binFeature(pixelAt, rows, columns, reduction) {
  const features = [];
  const parts = []; // weighted pixels
  for (const row of rows) {
    for (const column of columns) {
      let feature = 0;
      for (const v of row) {
        for (const h of column) {
          const part = v.weight * h.weight * pixelAt(v.pixel, h.pixel);
          parts.push(part);
          feature += part;
        }
      }
      features.push(feature);
    }
  }
  if (features.length === 0) return 0;
  if (reduction === "mean") return features.reduce((sum, feature) => sum + feature) / features.length;
  return (wrong.has("roi.max=weighted") ? parts : features).reduce((a, b) => Math.max(a, b)); // NaN if there is one
}

function roiAlign({ x, rois }, params) {
  const [, nChannels, height, width] = x.shape;
  const [PH, PW] = params.output_size;
  const values = [];
  for (let r = 0; r < rois.shape[0]; r++) {
    const [image, x1, y1, x2, y2] = rois.values.slice(5 * r, 5 * r + 5);
    const rows = axisTaps(y1, y2, PH, height, params);
    const columns = axisTaps(x1, x2, PW, width, params);
    for (let c = 0; c < nChannels; c++) {
      const plane = (image * nChannels + c) * height * width;
      const pixelAt = (h, w) => x.values[plane + h * width + w];
      for (const row of rows) {
        for (const column of columns) values.push(binFeature(pixelAt, row, column, params.reduction));
      }
    }
  }
  return { y: { dtype: "float32", shape: [rois.shape[0], nChannels, PH, PW], values } };
}

function numberOfWindows(size, axis, { kernel_size, stride, padding, dilation, ceil_mode, convention }) {
  const [before, after] = padding[axis];
  const room = size + before + after - dilation[axis] * (kernel_size[axis] - 1) - 1;
  if (!ceil_mode) return Math.floor(room / stride[axis]) + 1;
  const n = Math.ceil(room / stride[axis]) + 1;
  const lastIsBeyondX = (n - 1) * stride[axis] >= size + before;
  const dropsIt = convention === "torch" || padding.flat().some((pad) => pad > 0);
  return lastIsBeyondX && dropsIt ? n - 1 : n;
}

function maxPool2d({ x }, params) {
  const { kernel_size, stride, padding, dilation } = params;
  const [nImages, nChannels, height, width] = x.shape;
  const shape = [nImages, nChannels, numberOfWindows(height, 0, params), numberOfWindows(width, 1, params)];
  const [y, switches] = [[], []];
  for (let plane = 0; plane < nImages * nChannels; plane++) {
    for (let i = 0; i < shape[2]; i++) {
      for (let j = 0; j < shape[3]; j++) {
        let best = wrong.has("maxpool.emptywin=0") ? 0 : -Infinity;
        let winner = -1;
        for (let a = 0; a < kernel_size[0]; a++) {
          for (let b = 0; b < kernel_size[1]; b++) {
            const h = i * stride[0] + a * dilation[0] - padding[0][0];
            const w = j * stride[1] + b * dilation[1] - padding[1][0];
            if (h < 0 || h >= height || w < 0 || w >= width) continue; // padding never wins
            const value = x.values[(plane * height + h) * width + w];
            const wins = value > best || (Number.isNaN(value) && !Number.isNaN(best)); // else the first one stays
            if (winner < 0 || wins) [best, winner] = [value, h * width + w];
          }
        }
        y.push(best);
        switches.push(winner);
      }
    }
  }
  return { y: { dtype: "float32", shape, values: y }, switches: { dtype: "int64", shape, values: switches } };
}

const ALGORITHMS = { box_iou: boxIou, max_pool2d: maxPool2d, nms, roi_align: roiAlign };

// --- The conversation: one line in, one line out ---------------------------------------------------------------------

function hello({ protocol }) {
  if (protocol !== 1) throw new Error("protocol 1 only");
  const algorithms = Object.keys(ALGORITHMS);
  return { type: "hello", protocol: 1, name: "refdet_harness.mjs", version: "1.0", algorithms };
}

function run({ seq, algorithm, params, tensors }) {
  try {
    if (!Object.hasOwn(ALGORITHMS, algorithm)) throw new Skip(`this harness does not implement ${algorithm}`);
    const mapped = (object, f) => Object.fromEntries(Object.entries(object).map(([name, value]) => [name, f(value)]));
    const answers = ALGORITHMS[algorithm](mapped(tensors, readTensor), params); // an absent argument is undefined
    return { type: "result", seq, tensors: mapped(answers, inline) };
  } catch (problem) {
    if (problem instanceof Skip) return { type: "skip", seq, reason: problem.message };
    return { type: "error", seq, message: String(problem.message) };
  }
}

for (const argument of process.argv.slice(2)) {
  const key = argument.startsWith("--wrong=") ? argument.slice("--wrong=".length) : "";
  if (!Object.hasOwn(WRONG, key)) {
    const keys = Object.entries(WRONG).map(([name, meaning]) => `  ${name}  ${meaning}\n`);
    console.error(`usage: node refdet_harness.mjs [--wrong=KEY]...\n
It speaks the protocol of refdet verify --command. Keys:\n${keys.join("")}`);
    process.exit(2);
  }
  wrong.add(key);
}

for await (const line of createInterface({ input: process.stdin })) {
  const message = JSON.parse(line);
  if (message.type === "bye") break;
  if (message.type !== "hello" && message.type !== "run") throw new Error(`a message of unknown type: ${message.type}`);
  process.stdout.write(JSON.stringify(message.type === "hello" ? hello(message) : run(message)) + "\n");
}

// The camera of mzsr_lib.imaging in the browser: the same formulas, the same borders, the same rounding.
// A plane is {height, width, data}, data a Float64Array of rows; a picture is a list of three planes in [0, 1].

export const SCALE = 2;
const REACH = 4;

export function plane(height, width, data = new Float64Array(height * width)) {
  return { height, width, data };
}

/** exp(-x^T cov^-1 x / 2) on size x size px, with sum 1; lambda1, lambda2 in px^2, theta in radians, y down. */
export function gaussianKernel(lambda1, lambda2, theta, size) {
  const cos = Math.cos(theta), sin = Math.sin(theta);
  const a = lambda1 * cos ** 2 + lambda2 * sin ** 2;
  const c = lambda1 * sin ** 2 + lambda2 * cos ** 2;
  const b = (lambda1 - lambda2) * sin * cos;
  const kernel = plane(size, size), middle = (size - 1) / 2;
  let sum = 0;
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      const y = i - middle, x = j - middle;
      const value = Math.exp(-(c * x * x - 2 * b * x * y + a * y * y) / (a * c - b * b) / 2);
      kernel.data[i * size + j] = value;
      sum += value;
    }
  }
  kernel.data.forEach((value, i) => { kernel.data[i] = value / sum; });
  return kernel;
}

/** The index that a line continued by reflection, its edge repeated, has at any place. */
export function mirror(place, size) {
  const position = ((place % (2 * size)) + 2 * size) % (2 * size);
  return position < size ? position : 2 * size - 1 - position;
}

function padded(image, pad) {
  const large = plane(image.height + 2 * pad, image.width + 2 * pad);
  for (let i = 0; i < large.height; i++) {
    const row = mirror(i - pad, image.height) * image.width;
    for (let j = 0; j < large.width; j++) large.data[i * large.width + j] = image.data[row + mirror(j - pad, image.width)];
  }
  return large;
}

/** Correlate with the kernel, mirrored at the border, and keep every stride-th pixel. */
export function blur(image, kernel, stride = 1) {
  const size = kernel.height, around = padded(image, (size - 1) / 2);
  const out = plane(Math.ceil(image.height / stride), Math.ceil(image.width / stride));
  for (let i = 0; i < out.height; i++) {
    for (let j = 0; j < out.width; j++) {
      let sum = 0;
      for (let y = 0; y < size; y++) {
        const from = (i * stride + y) * around.width + j * stride;
        for (let x = 0; x < size; x++) sum += kernel.data[y * size + x] * around.data[from + x];
      }
      out.data[i * out.width + j] = sum;
    }
  }
  return out;
}

/** Keys' cubic, a = -0.5. */
export function cubic(distance) {
  const x = Math.abs(distance);
  if (x <= 1) return 1.5 * x ** 3 - 2.5 * x ** 2 + 1;
  return x < 2 ? -0.5 * x ** 3 + 2.5 * x ** 2 - 4 * x + 2 : 0;
}

/** Resample both axes: `taps(i)` gives the first source place of output i and its weights, which sum to 1. */
function resample(image, height, width, taps) {
  const along = (source, count, length, at) => {
    const rows = source.length / length, out = new Float64Array(rows * count);
    for (let i = 0; i < count; i++) {
      const { first, weights } = at(i);
      for (let row = 0; row < rows; row++) {
        let sum = 0;
        weights.forEach((weight, k) => { sum += weight * source[row * length + mirror(first + k, length)]; });
        out[row * count + i] = sum;
      }
    }
    return out;
  };
  const turned = (source, rows, columns) => {
    const out = new Float64Array(source.length);
    for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) out[j * rows + i] = source[i * columns + j];
    return out;
  };
  const wide = along(image.data, width, image.width, taps);
  const tall = along(turned(wide, image.height, width), height, image.height, taps);
  return plane(height, width, turned(tall, width, height));
}

function normalised(first, weights) {
  const sum = weights.reduce((a, b) => a + b);
  return { first, weights: weights.map((weight) => weight / sum) };
}

const OFFSETS = [...Array(2 * REACH).keys()];

/** MATLAB's antialiased bicubic, half as large. */
export function downscale(image) {
  const taps = (i) => normalised(2 * i - 3, OFFSETS.map((k) => cubic((k - 3.5) / 2)));
  return resample(image, image.height / SCALE, image.width / SCALE, taps);
}

/** MATLAB's bicubic, twice as large: the middle of the picture stays the middle. */
export function upscale(image) {
  const taps = (i) => {
    const centre = (i + 0.5) / 2 - 0.5, first = Math.floor(centre) - 1;
    return normalised(first, [0, 1, 2, 3].map((k) => cubic(first + k - centre)));
  };
  return resample(image, image.height * SCALE, image.width * SCALE, taps);
}

/** Keys' cubic so that low-resolution pixel i is pixel 2 i of the large picture, as direct sampling has it. */
export function upscaleAligned(image) {
  const taps = (i) => {
    const first = Math.floor(i / 2) - 1;
    return { first, weights: [0, 1, 2, 3].map((k) => cubic(first + k - i / 2)) };
  };
  return resample(image, image.height * SCALE, image.width * SCALE, taps);
}

/** Clip to [0, 1] and round to multiples of 1/255. */
export function roundTo8Bits(image) {
  return plane(image.height, image.width, image.data.map((value) => Math.round(Math.min(1, Math.max(0, value)) * 255) / 255));
}

/** Blur and keep a quarter of the pixels, without noise and rounding; mode is "direct" or "bicubic". */
export function linear(image, kernel, mode) {
  return mode === "direct" ? blur(image, kernel, SCALE) : downscale(blur(image, kernel));
}

/** A picture as the camera gives it: blurred, half as large, noisy, with 8 bits. */
export function degrade(picture, kernel, mode = "direct", noise = 0, normal = () => 0) {
  return picture.map((channel) => {
    const small = linear(channel, kernel, mode);
    if (noise > 0) small.data.forEach((value, i) => { small.data[i] = value + noise * normal(); });
    return roundTo8Bits(small);
  });
}

/** Enlarge in register with the sampling mode, as restoration.enlarge does. */
export function enlarge(picture, mode) {
  return picture.map(mode === "direct" ? upscaleAligned : upscale);
}

function luma(picture) {
  const [red, green, blue] = picture.map((channel) => roundTo8Bits(channel).data);
  return red.map((value, i) => Math.round(65.481 * value + 128.553 * green[i] + 24.966 * blue[i] + 16));
}

/** PSNR in dB as the paper measures it: luma of 8 bits as integers, a border of 2 px left out. */
export function protocolPsnr(sr, hr) {
  const [a, b] = [luma(sr), luma(hr)], { height, width } = hr[0];
  let sum = 0, count = 0;
  for (let i = SCALE; i < height - SCALE; i++) {
    for (let j = SCALE; j < width - SCALE; j++, count++) sum += (a[i * width + j] - b[i * width + j]) ** 2;
  }
  return 10 * Math.log10(255 ** 2 / (sum / count));
}

/** Numbers from the standard normal distribution, always the same ones for a seed (Mulberry32, Box and Muller). */
export function normals(seed) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 4294967296;
  };
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

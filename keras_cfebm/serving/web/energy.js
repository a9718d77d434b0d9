/**
 * The energy of one resolution, E(x), low = likely (`keras_cfebm.network`), and its
 * gradient ∂E/∂x by TensorFlow.js' automatic differentiation.
 *
 * Convolutions bring their own gradients, which are convolutions too: those that
 * TensorFlow.js has for WebAssembly are several times slower.
 */

const activations = (tf) => {
  // x · sigmoid(x) / scale, with its derivative from what the forward pass has.
  const swish = (scale) =>
    tf.customGrad((x, save) => {
      const gate = tf.sigmoid(x);
      const y = tf.mul(tf.mul(x, gate), 1 / scale);
      save([gate, y]);
      const slope = ([s, v]) => tf.add(v, tf.mul(s, tf.sub(1 / scale, v)));
      return { value: y, gradFunc: (dy, saved) => tf.mul(dy, slope(saved)) };
    });
  return {
    swish: swish(1.1),
    silu: swish(1),
    gelu: (x) => tf.mul(tf.mul(x, 0.5), tf.add(1, tf.erf(tf.mul(x, Math.SQRT1_2)))),
    elu: tf.elu,
    celu: (x) => tf.mul(1.1, tf.elu(tf.div(x, 1.1))),
    relu: tf.relu,
    leaky_relu: (x) => tf.leakyRelu(x, 0.2),
  };
};

/** A "same" convolution of stride 1; its gradient is one with the flipped kernel. */
function convolution(tf, kernel) {
  const flipped = tf.transpose(tf.reverse(kernel, [0, 1]), [0, 1, 3, 2]);
  return tf.customGrad((x) => ({
    value: tf.conv2d(x, kernel, 1, "same"),
    gradFunc: (dy) => tf.conv2d(dy, flipped, 1, "same"),
  }));
}

/**
 * A 3×3 "same" convolution and 2×2 mean pooling, as one 4×4 convolution of stride 2.
 *
 * Of its gradient every pixel of a 2×2 block is a 2×2 convolution of its own: all four
 * are computed at once and then interleaved.
 */
function pooledConvolution(tf, kernel) {
  const corners = [[0, 0], [0, 1], [1, 0], [1, 1]];
  const shifted = ([i, j]) => tf.pad(kernel, [[i, 1 - i], [j, 1 - j], [0, 0], [0, 0]]);
  const wide = tf.mul(0.25, tf.addN(corners.map(shifted)));
  const [inputs, outputs] = wide.shape.slice(2);
  const tap = (i, j) => tf.transpose(tf.slice(wide, [i, j, 0, 0], [1, 1, inputs, outputs]), [0, 1, 3, 2]);
  const phase = ([i, j]) =>
    tf.concat([2, 0].map((p) => tf.concat([tap(i + p, j + 2), tap(i + p, j)], 1)), 0);
  const phases = tf.concat(corners.map(phase), 3);
  const ring = [[0, 0], [1, 1], [1, 1], [0, 0]];
  return tf.customGrad((x) => ({
    value: tf.conv2d(x, wide, 2, ring),
    gradFunc: (dy) => {
      const blocks = tf.depthToSpace(tf.conv2d(tf.pad(dy, ring), phases, 1, "valid"), 2);
      return tf.slice(blocks, [0, 1, 1, 0], x.shape);
    },
  }));
}

const meanPool = (tf) =>
  tf.customGrad((x) => ({
    value: tf.avgPool(x, 2, 2, "valid"),
    gradFunc: (dy) => {
      const [n, h, w, c] = dy.shape;
      const tiled = tf.tile(tf.reshape(dy, [n, h, 1, w, c]), [1, 1, 2, 1, 2]);
      return tf.reshape(tf.mul(0.25, tiled), x.shape);
    },
  }));

/** A row and a column of zeros below and right of sides that are odd. */
function toEven(tf, x) {
  const [, height, width] = x.shape;
  if (height % 2 === 0 && width % 2 === 0) return x;
  return tf.pad(x, [[0, 0], [0, height % 2], [0, width % 2], [0, 0]]);
}

/** (act(pool(conv(act(conv(x))))) + conv1×1(pool(x))) / √2: the residual block. */
function residualBlock(tf, act, { conv1, conv2, skip }) {
  const [first, second] = [convolution(tf, conv1.kernel), pooledConvolution(tf, conv2.kernel)];
  const pool = meanPool(tf);
  const [inputs, outputs] = skip.kernel.shape.slice(2);
  const skipKernel = tf.reshape(skip.kernel, [inputs, outputs]);
  return (images) => {
    const x = toEven(tf, images);
    const main = act(tf.add(second(act(tf.add(first(x), conv1.bias))), conv2.bias));
    const flat = tf.matMul(tf.reshape(pool(x), [-1, inputs]), skipKernel);
    const skipped = tf.add(tf.reshape(flat, main.shape), skip.bias);
    return tf.mul(tf.add(main, skipped), Math.SQRT1_2);
  };
}

/** An energy of the exported weights of one level, see `weights.js`. */
export class Energy {
  /**
   * @param tf TensorFlow.js, its backend chosen.
   * @param level `{resolution, channels, activation, blocks, head}`, tensors inside.
   */
  constructor(tf, level) {
    this.tf = tf;
    this.resolution = level.resolution;
    this.channels = level.channels;
    this.classTerm = null;
    const act = activations(tf)[level.activation];
    const blocks = level.blocks.map((block) => residualBlock(tf, act, block));
    const { conv, to_vector: last, linear, embedding } = level.head;
    const headConvolution = convolution(tf, conv.kernel);
    const toVector = tf.reshape(last.kernel, [-1, last.bias.shape[0]]);
    this.embedding = embedding;
    this.linear = (f) => tf.squeeze(tf.add(tf.matMul(f, linear.kernel), linear.bias), [1]);
    const [first, ...others] = blocks;
    this.mapsOf = (images) =>
      first(tf.concat([images, tf.onesLike(tf.slice(images, 0, [-1, -1, -1, 1]))], 3));
    this.headOf = (maps) => {
      let x = maps;
      for (const block of others) x = block(x);
      x = act(tf.add(headConvolution(x), conv.bias));
      return act(tf.add(tf.matMul(tf.reshape(x, [x.shape[0], -1]), toVector), last.bias));
    };
  }

  /** Binds a class, with classes, and how much clearer of it images are to be. */
  bind(label, guidance = 0) {
    this.classTerm?.dispose();
    this.classTerm = this.tf.tidy(() => {
      const own = this.tf.slice(this.embedding, [label, 0], [1, -1]);
      const mean = this.tf.mean(this.embedding, 0, true);
      return this.tf.add(own, this.tf.mul(guidance, this.tf.sub(own, mean)));
    });
  }

  /** Energies of features: with classes of the one that is bound. */
  _ofFeatures(features) {
    const energies = this.linear(features);
    if (!this.classTerm) return energies;
    return this.tf.add(energies, this.tf.sum(this.tf.mul(features, this.classTerm), 1));
  }

  /** Energies of features, with classes those of any, −log Σ_y exp(−E(x, y)). */
  _ofAnyClass(features) {
    const energies = this.linear(features);
    if (!this.embedding) return energies;
    const byClass = this.tf.matMul(features, this.embedding, false, true);
    return this.tf.sub(energies, this.tf.logSumExp(this.tf.neg(byClass), 1));
  }

  _differentiated(x, count, energyOf) {
    const { tf } = this;
    const shape = [count, this.resolution, this.resolution, this.channels];
    return tf.tidy(() => {
      let energies;
      const gradient = tf.grad((images) => {
        energies = tf.keep(energyOf(this.headOf(this.mapsOf(images))));
        return tf.sum(energies);
      })(tf.tensor(x, shape));
      const found = { energies: energies.dataSync(), gradient: gradient.dataSync() };
      energies.dispose();
      return found;
    });
  }

  /** Energies and ∂E/∂x of `count` images in a Float32Array. */
  valueAndGradient(x, count) {
    return this._differentiated(x, count, (f) => this._ofFeatures(f));
  }

  /** The same of any class, what a detector measures; it has no labels. */
  anyClass() {
    const valueAndGradient = (x, count) =>
      this._differentiated(x, count, (f) => this._ofAnyClass(f));
    return { resolution: this.resolution, channels: this.channels, valueAndGradient };
  }

  /** What the first block makes of one image, `{values, side, channels}`, and the head. */
  features(x) {
    const shape = [1, this.resolution, this.resolution, this.channels];
    return this.tf.tidy(() => {
      const maps = this.mapsOf(this.tf.tensor(x, shape));
      const [, side, , channels] = maps.shape;
      const head = this.headOf(maps).dataSync();
      return { maps: { values: maps.dataSync(), side, channels }, head };
    });
  }
}

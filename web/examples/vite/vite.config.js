export default {
  base: "./",
  worker: { format: "es" },
  // The package finds its worker and its module beside itself.
  optimizeDeps: { exclude: ["candle-whisper"] },
};

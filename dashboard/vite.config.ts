import { defineConfig } from "vite";

// The API serves what is built here from its own package (api/dashboard.py); `npm run dev` asks a running API.
const API_PATHS =
  "^/(jobs|datasets|uploads|queue|slots|team|teams|models|presets|keys|session|login-codes|health|openapi.json)";

export default defineConfig({
  build: {
    outDir: "../api/static",
    emptyOutDir: true,
    target: "es2022",
    // A file of its own for each asset: the Content-Security-Policy takes no data: URLs for scripts or styles.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  server: { proxy: { [API_PATHS]: "http://127.0.0.1:8000" } },
});

// The registry process: hosts every fixture actor as an envoy of the engine named by RIVET_ENDPOINT.
import { rmSync } from "node:fs";
import { setup } from "rivetkit";
import { actors } from "./fixtures/index.ts";

const registry = setup({ use: actors, noWelcome: true, shutdown: { gracePeriodMs: 2_000 } });

// The channel to the starter closes when that process dies without saying goodbye; nothing may outlive it.
process.on("disconnect", () => {
  const { CONFORM_ENGINE_PID: pid, CONFORM_ENGINE_DIRECTORY: directory } = process.env;
  if (pid) {
    try {
      process.kill(Number(pid), "SIGKILL");
    } catch {
      // It has already ended.
    }
  }
  if (directory) rmSync(directory, { recursive: true, force: true });
  process.exit(1);
});

await registry.startAndWait();

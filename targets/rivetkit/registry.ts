// The registry process: hosts every fixture actor as an envoy of the engine named by RIVET_ENDPOINT.
import { setup } from "rivetkit";
import { actors } from "./fixtures/index.ts";

const registry = setup({ use: actors, noWelcome: true, shutdown: { gracePeriodMs: 2_000 } });

// The channel to the starter closes when that process dies without saying goodbye; nothing may outlive it.
process.on("disconnect", () => {
  const engine = Number(process.env.CONFORM_ENGINE_PID);
  if (engine) {
    try {
      process.kill(engine, "SIGKILL");
    } catch {
      // It has already ended.
    }
  }
  process.exit(1);
});

await registry.startAndWait();

// Structured errors: group, code, message and metadata as the client's own error class shows them.
import { check, client, ensure, equal, failure, key, load, run } from "./checks.mjs";

const actor = client.errorHandlingActor.getOrCreate(key("errors"));

check("class", async () => {
	const { ActorError } = await load("./client");
	const error = await actor.throwSimpleError().catch((caught) => caught);
	ensure(error instanceof ActorError, String(error));
});

check("simple", async () => {
	const { group, code, message, metadata } = await failure(() => actor.throwSimpleError());
	equal([group, code, message], ["user", "user_error", "Simple error message"]);
	ensure(metadata == null, JSON.stringify(metadata));
});

check("detailed", async () => {
	const { group, code, message, metadata } = await failure(() => actor.throwDetailedError());
	equal([group, code, message], ["user", "detailed_error", "Detailed error message"]);
	equal(Object.keys(metadata).toSorted(), ["reason", "timestamp"]);
	equal(metadata.reason, "test");
	equal(typeof metadata.timestamp, "number");
});

check("internal errors are masked", async () => {
	const { code, message } = await failure(() => actor.throwInternalError());
	equal(code, "internal_error");
	ensure(!message.includes("This is an internal error"), message);
});

check("time-out", async () => {
	const { group, code } = await failure(() => actor.timeoutAction());
	equal([group, code], ["actor", "action_timed_out"]);
});

check("unknown action", async () => {
	const { group, code } = await failure(() => actor.noSuchAction());
	equal([group, code], ["actor", "action_not_found"]);
});

check("unknown actor type", async () => {
	const error = await failure(() => client.noSuchActorType.get(key("none")).anything());
	equal([error.group, error.code], ["actor", "not_found"]);
});

check("a request that is too large", async () => {
	const { group, code } = await failure(() => actor.logError("x".repeat(100_000)));
	equal([group, code], ["message", "incoming_too_long"]);
});

check("the actor goes on", async () => {
	equal(await actor.successfulAction(), "success");
	equal(await actor.logError({ code: "seen" }), [{ code: "seen" }]);
});

await run();

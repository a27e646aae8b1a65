"""How a user declares an actor: class, actions, hooks, options, schemas, registry."""

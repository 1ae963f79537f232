"""One exchange, each side: the state tables, `BotExchange` and `PoeExchange`, and the reply folded from its events."""

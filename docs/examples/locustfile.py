"""A load test with Locust: people who ask a bot questions, and talk with it.

Serve the bot, and start 20 people, who end their replies before the result is printed:

    poeproto serve docs/examples/echo.py:bot --allow-without-key
    locust -f docs/examples/locustfile.py --headless --host http://127.0.0.1:8080/ \
        --users 20 --spawn-rate 10 --run-time 30s --stop-timeout 60 --poe-slo first_event:200ms,gap:100ms

The access key of a bot is read from the variable POE_ACCESS_KEY. docs/howto/load_test.md shows several workers.
"""

from locust import between, task

from poeproto import Attachment
from poeproto_locust import PoeUser

PLAN = Attachment(
    "https://example.com/plan.txt", "text/plain", "plan.txt", parsed_content="Monday: rest. Tuesday: more rest."
)


class Person(PoeUser):
    wait_time = between(0.5, 2)  # seconds between two tasks

    @task(3)
    def ask(self) -> None:
        self.query("What is a tide?", parameters={"style": "short"})

    @task(2)
    def talk(self) -> None:
        conversation = self.conversation()
        for question in ("What is a spring tide?", "And how often is it?", "Since when do we know?"):
            if not conversation.say(question, name="turn").is_complete:
                return  # it is counted as a failure

    @task
    def ask_about_a_file(self) -> None:
        self.query("What is the plan for Tuesday?", attachments=[PLAN], name="with a file")

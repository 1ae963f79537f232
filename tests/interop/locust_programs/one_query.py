"""A locustfile: users who ask one question after the other."""

from __future__ import annotations

from locust import task

from poeproto_locust import PoeUser


class Asking(PoeUser):
    @task
    def ask(self) -> None:
        self.query("hello")

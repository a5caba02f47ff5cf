"""Aries Cloud Agent Python verifies what stands on the standard input, and makes the same, over its VC-API.

Input: {credential, good: {<name>: credential}, bad: {<name>: {<what>: credential}}}, VCDM 1.1, by did:key. Output:
{accepted: {<name>: true or why not}, refused: {<name>: {<what>: true or false}}, made: {<name>: credential}}.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

PATIENCE_S = 60


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Agent:
    """With a wallet for this run alone, and no ledger."""

    def __init__(self, program, folder):
        admin, inbound = free_port(), free_port()
        self.url = f"http://127.0.0.1:{admin}"
        arguments = ["--admin", "127.0.0.1", str(admin), "--admin-insecure-mode", "--no-ledger", "--auto-provision"]
        arguments += ["--inbound-transport", "http", "127.0.0.1", str(inbound), "--outbound-transport", "http"]
        arguments += ["--endpoint", f"http://127.0.0.1:{inbound}", "--log-level", "error"]
        arguments += ["--wallet-type", "askar", "--wallet-name", "interop", "--wallet-key", "interop"]
        environment = {**os.environ, "HOME": folder}
        self.log = open(os.path.join(folder, "log"), "w+b")
        self.process = subprocess.Popen(
            [program, "start", *arguments], stdout=self.log, stderr=self.log, cwd=folder, env=environment
        )

    def wait(self):
        for _ in range(PATIENCE_S * 10):
            try:
                return self.ask("GET", "/status/live")
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
            if self.process.poll() is not None:
                break
        self.log.seek(0)
        raise RuntimeError(self.log.read().decode()[-3000:])

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"content-type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return json.load(answer)

    def verify(self, credential):
        """True, or why not."""
        try:
            answer = self.ask("POST", "/vc/credentials/verify", {"verifiableCredential": credential, "options": {}})
        except urllib.error.HTTPError as error:
            return error.read().decode()
        return answer["verified"] is True or json.dumps(answer.get("errors"))

    def issue(self, credential):
        created = self.ask("POST", "/wallet/did/create", {"method": "key", "options": {"key_type": "ed25519"}})
        unsigned = {**credential, "issuer": created["result"]["did"]}
        order = {"credential": unsigned, "options": {"proofType": "Ed25519Signature2020"}}
        return self.ask("POST", "/vc/credentials/issue", order)["verifiableCredential"]


def main():
    given = json.load(sys.stdin)
    with tempfile.TemporaryDirectory() as folder:
        agent = Agent(sys.argv[1], folder)
        try:
            agent.wait()
            accepted = {name: agent.verify(one) for name, one in given["good"].items()}
            refused = {
                name: {what: agent.verify(one) is not True for what, one in forged.items()}
                for name, forged in given["bad"].items()
            }
            made = {name: agent.issue(given["credential"]) for name in given["good"]}
        finally:
            agent.process.terminate()
            agent.process.wait()
    json.dump({"accepted": accepted, "refused": refused, "made": made}, sys.stdout)


main()

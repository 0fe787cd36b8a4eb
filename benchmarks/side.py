"""A side of a comparison: a process that answers each line with one of JSON, so that sides can take turns."""
import json
import subprocess
import tempfile


class Side:
    def __init__(self, name, command, **options):
        """Starts the command; options go to subprocess.Popen."""
        self.name, self.errors = name, tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
                                        text=True, **options)

    def ask(self, line):
        self.tell(line)
        return self.answer()

    def tell(self, line):
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # answer() says why it stopped

    def answer(self):
        try:
            return json.loads(self.process.stdout.readline())
        except json.JSONDecodeError:
            self.process.wait()
            self.errors.seek(0)
            raise RuntimeError(f"{self.name} stopped:\n" + "".join(self.errors.readlines()[-8:])) from None

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

"""A management controller with one system, as DMTF DSP0266 has it; says on stdout what it was asked."""

import base64
import http.server
import json
import ssl
import sys

PORT, CERTIFICATE, USER = int(sys.argv[1]), sys.argv[2], sys.argv[3]
SYSTEM = "/redfish/v1/Systems/437XR"


class Controller(http.server.BaseHTTPRequestHandler):
    def answer(self, status, body=None):
        text = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def handle_any(self):
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length).decode()
        wanted = "Basic " + base64.b64encode(USER.encode()).decode()
        if self.headers.get("Authorization") != wanted:
            print("REFUSED", self.command, self.path, flush=True)
            return self.answer(401, {})
        print(self.command, self.path, body, flush=True)
        if self.command == "GET" and self.path == "/redfish/v1/Systems":
            return self.answer(200, {"Members": [{"@odata.id": SYSTEM}]})
        if self.command == "GET" and self.path == SYSTEM:
            reset = {"#ComputerSystem.Reset": {"target": SYSTEM + "/Actions/ComputerSystem.Reset"}}
            return self.answer(200, {"PowerState": "On", "Actions": reset})
        if self.command == "PATCH" and self.path == SYSTEM:
            return self.answer(204)
        if self.command == "POST" and self.path == SYSTEM + "/Actions/ComputerSystem.Reset":
            return self.answer(204)
        return self.answer(404, {})

    do_GET = do_PATCH = do_POST = handle_any

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", PORT), Controller)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(CERTIFICATE)
server.socket = context.wrap_socket(server.socket, server_side=True)
print("ready", flush=True)
server.serve_forever()

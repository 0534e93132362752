"""The yardstick: a bare relay between a Twilio-like caller and a Realtime-like model.

`websockets` on both sides, orjson, uvloop. A phone frame becomes an append, a delta becomes media and a mark.
Nothing else: no greeting, no barge-in, no transcript, no limits, no database.

    python -m bench.relay --port 9001 --model ws://127.0.0.1:9000/v1/realtime
"""

import argparse
import asyncio

import orjson
import uvloop
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed


async def relay(phone: ServerConnection, model_url: str) -> None:
    """One call."""
    async with connect(f"{model_url}?model=bench", compression=None, max_size=None) as model:
        stream_sid = ""

        async def to_phone() -> None:
            count = 0
            async for frame in model:
                event = orjson.loads(frame)
                if event["type"] != "response.output_audio.delta":
                    continue
                count += 1
                media = {"event": "media", "streamSid": stream_sid, "media": {"payload": event["delta"]}}
                await phone.send(orjson.dumps(media), text=True)
                mark = {"event": "mark", "streamSid": stream_sid, "mark": {"name": f"m{count}"}}
                await phone.send(orjson.dumps(mark), text=True)

        back = asyncio.create_task(to_phone())
        try:
            async for frame in phone:
                event = orjson.loads(frame)
                if event["event"] == "media":
                    append = {"type": "input_audio_buffer.append", "audio": event["media"]["payload"]}
                    await model.send(orjson.dumps(append), text=True)
                elif event["event"] == "start":
                    stream_sid = event["streamSid"]
        except ConnectionClosed:
            pass
        finally:
            back.cancel()
            await asyncio.gather(back, return_exceptions=True)


async def main(port: int, model_url: str) -> None:
    async with serve(
        lambda phone: relay(phone, model_url), "127.0.0.1", port, compression=None, max_size=65_536
    ) as server:
        print("ready", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model", required=True)
    options = parser.parse_args()
    uvloop.run(main(options.port, options.model))

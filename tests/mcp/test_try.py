import time
import pytest, httpx2, asyncio
from tests.api.live_server import serve
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

@pytest.mark.django_db(transaction=True)
async def test_it(alice):
    with serve() as url:
        for mode in ("legacy", "auto"):
            async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {alice.api.token}"}) as h:
                async with Client(streamable_http_client(f"{url}/mcp", http_client=h), mode=mode) as c:
                    print(c.protocol_version, c.server_info)
                    print([t.name for t in (await c.list_tools()).tools])
                    print(await c.call_tool("whoami", {}))
                    print(await c.call_tool("run_voice_qualifier", {"lead_ids":[str(alice.lead.id)], "objective":"x", "dry_run": True}))
                    print(await c.call_tool("get_call_results", {"call_batch_id":str(alice.batch.id)}))
                    print(await c.call_tool("get_call", {"call_id":str(alice.batch.id)}))
                    print(await c.call_tool("get_call", {"call_id":str(alice.call.id)}))
                    print(await c.call_tool("get_transcript", {"call_id":str(alice.call.id)}))
                    print(await c.call_tool("list_leads", {}))
                    print(await c.call_tool("list_agents", {}))
                    print(await c.call_tool("list_api_keys", {}))
                    print(await c.call_tool("mint_api_key", {"name":"x"}))
                    print(await c.get_prompt("run_voice_qualifier", {"lead_ids":"a,b","objective":"o"}))
                    ts=[]
                    for _ in range(50):
                        t=time.perf_counter(); await c.call_tool("whoami", {}); ts.append(time.perf_counter()-t)
                    print("median ms", sorted(ts)[25]*1000)

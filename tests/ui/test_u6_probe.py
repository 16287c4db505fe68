import importlib.util, sys, pathlib, time
spec = importlib.util.spec_from_file_location("u6_req", pathlib.Path(__file__).parent / "test_requests.py")
m = importlib.util.module_from_spec(spec); spec.loader.exec_module(m)
addresses = m.addresses
import pytest
@pytest.mark.parametrize("name", ["runs","models","version","home","compare","run","charts","charts of a run","model","experiments"])
def test_probe(open_page, server, addresses, name):
    page = open_page("/settings", faults=False)
    begun = time.monotonic()
    page.on("request", lambda r: print(f"   {time.monotonic()-begun:.2f}", r.method, r.url.replace(server.url,"")[:150]))
    page.on("response", lambda r: r.status>=400 and print("   BAD", r.text()[:300])); page.on("console", lambda m: print("   CONSOLE", m.text))
    page.on("pageerror", lambda m: print("   ERROR", m))
    print("\n==", name)
    page.goto("about:blank"); begun=time.monotonic()
    page.goto(server.url+addresses[name])
    page.wait_for_timeout(3000); page.screenshot(path=f"/tmp/u6-live-{'x'+name[:4]}.png"); print("   ROWS", page.locator("[role=grid] [role=row] a").count(), page.locator("[role=grid]").count())

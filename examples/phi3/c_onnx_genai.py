# %% [markdown]
# # C. The same exported model, and no class to write
#
# The chat template comes from the tokenizer; many requests are answered at once. `--onnx` takes the folder that
# `export_onnx.py` wrote.

# %%
import argparse
from concurrent.futures import ThreadPoolExecutor

import slipstream as mlflow

parser = argparse.ArgumentParser()
parser.add_argument("--onnx", default="tiny-phi3-onnx-int4", help="a folder with genai_config.json")
folder = parser.parse_known_args()[0].onnx  # "known": a notebook has arguments of its own

# %%
with mlflow.start_run():
    model_info = mlflow.onnx_genai.log_model(
        folder,
        name="phi3-onnx-model",
        task="llm/v1/chat",
        model_config={"max_tokens": 300},  # for another device: "provider": "cuda"
        registered_model_name="phi3-onnx",
    )
client = mlflow.MlflowClient()
client.set_registered_model_alias("phi3-onnx", "champion", model_info.registered_model_version)

# %%
model = mlflow.pyfunc.load_model("models:/phi3-onnx@champion")


def ask(question):
    request = {"messages": [{"role": "user", "content": question}], "temperature": 0}
    return model.predict(request)[0]["choices"][0]["message"]["content"]


questions = ["What is the capital of Spain?", "Tell me a joke about atom", "Hello", "Count to ten."]
with ThreadPoolExecutor(4) as threads:
    for question, answer in zip(questions, threads.map(ask, questions), strict=True):
        print(f"{question}\n  {answer}")

# %%
for chunk in model.predict_stream({"messages": [{"role": "user", "content": "Count to ten."}]}):
    print(chunk["choices"][0]["delta"].get("content", ""), end="", flush=True)
print()

# %% [markdown]
# Serve it, and ask it over HTTP:

# %%
print("""
slipstream models serve -m models:/phi3-onnx@champion --port 5003
""")

# %% [markdown]
# With the `openai` client, streamed:
#
# ```python
# from openai import OpenAI
#
# client = OpenAI(base_url="http://127.0.0.1:5003/v1", api_key="none")
# for chunk in client.chat.completions.create(
#     model="phi3-onnx", messages=[{"role": "user", "content": "Tell me a joke about atom"}], stream=True
# ):
#     print(chunk.choices[0].delta.content or "", end="", flush=True)
# ```
#
# Or with anything that speaks HTTP:
#
# ```
# curl 127.0.0.1:5003/v1/chat/completions -H 'Content-Type: application/json' \
#   -d '{"model": "phi3-onnx", "messages": [{"role": "user", "content": "What is the capital of Spain?"}]}'
# ```

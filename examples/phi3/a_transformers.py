# %% [markdown]
# # A. A Hugging Face pipeline as a chat model
#
# Log it, register it, give it an alias, ask it. `--model` takes a folder or a name on the hub.

# %%
import argparse

import transformers

import slipstream as mlflow

parser = argparse.ArgumentParser()
parser.add_argument("--model", default="tiny-phi3", help="a folder, or microsoft/Phi-3-mini-4k-instruct")
source = parser.parse_known_args()[0].model  # "known": a notebook has arguments of its own

# %%
pipeline = transformers.pipeline(task="text-generation", model=source)
model_config = {"max_new_tokens": 300, "do_sample": False}

with mlflow.start_run():
    model_info = mlflow.transformers.log_model(
        transformers_model=pipeline,
        name="phi3-mlflow-model",  # artifact_path=, as MLflow 2 had it, works too
        model_config=model_config,
        task="llm/v1/chat",
        registered_model_name="phi3-chat",
    )
client = mlflow.MlflowClient()
client.set_registered_model_alias("phi3-chat", "champion", model_info.registered_model_version)
print(model_info.signature)

# %%
model = mlflow.pyfunc.load_model("models:/phi3-chat@champion")
response = model.predict([{"role": "user", "content": "What is the capital of Spain?"}])
print(response[0]["choices"][0]["message"]["content"])
print(response[0]["usage"])

# %%
for chunk in model.predict_stream({"messages": [{"role": "user", "content": "Tell me a joke about atom"}]}):
    print(chunk["choices"][0]["delta"].get("content", ""), end="", flush=True)
print()

# %% [markdown]
# Serve it, and ask it over HTTP:

# %%
print("""
slipstream models serve -m models:/phi3-chat@champion --port 5001
""")

# %% [markdown]
# With the `openai` client, streamed:
#
# ```python
# from openai import OpenAI
#
# client = OpenAI(base_url="http://127.0.0.1:5001/v1", api_key="none")
# for chunk in client.chat.completions.create(
#     model="phi3-chat", messages=[{"role": "user", "content": "Tell me a joke about atom"}], stream=True
# ):
#     print(chunk.choices[0].delta.content or "", end="", flush=True)
# ```
#
# Or with anything that speaks HTTP:
#
# ```
# curl 127.0.0.1:5001/v1/chat/completions -H 'Content-Type: application/json' \
#   -d '{"model": "phi3-chat", "messages": [{"role": "user", "content": "What is the capital of Spain?"}]}'
# ```

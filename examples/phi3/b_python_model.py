# %% [markdown]
# # B. A Python model of your own around ONNX Runtime GenAI
#
# The class opens the exported model in `load_context` and answers in `predict`. `--onnx` takes the folder that
# `export_onnx.py` wrote, or one from the hub such as microsoft/Phi-3-mini-4k-instruct-onnx (its `cpu_and_mobile` folder).

# %%
import argparse

import onnxruntime_genai

import slipstream as mlflow
from slipstream.models import infer_signature

parser = argparse.ArgumentParser()
parser.add_argument("--onnx", default="tiny-phi3-onnx-int4", help="a folder with genai_config.json")
folder = parser.parse_known_args()[0].onnx  # "known": a notebook has arguments of its own


# %%
class Phi3Model(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.model = onnxruntime_genai.Model(context.artifacts["phi3-mini-onnx"])
        self.params = onnxruntime_genai.GeneratorParams(self.model)
        self.params.set_search_options(max_length=300, do_sample=False)
        self.tokenizer = onnxruntime_genai.Tokenizer(self.model)

    def predict(self, context, model_input):
        prompt = model_input["prompt"][0]
        generator = onnxruntime_genai.Generator(self.model, self.params)
        generator.append_tokens(self.tokenizer.encode(prompt))
        written = []
        while not generator.is_done():
            generator.generate_next_token()
            written.append(generator.get_next_tokens()[0])
        return self.tokenizer.decode(written)


# %%
input_example = {
    "prompt": "<|system|>You are a stand-up comedian.<|end|><|user|>Tell me a joke about atom<|end|><|assistant|>"
}
with mlflow.start_run():
    model_info = mlflow.pyfunc.log_model(
        name="phi3-python-model",
        python_model=Phi3Model(),
        artifacts={"phi3-mini-onnx": folder},
        input_example=input_example,
        signature=infer_signature(input_example, ["Run"]),
        extra_pip_requirements=["torch", "onnxruntime_genai", "numpy"],
        registered_model_name="phi3-python",
    )
client = mlflow.MlflowClient()
client.set_registered_model_alias("phi3-python", "champion", model_info.registered_model_version)
print(model_info.signature)

# %%
model = mlflow.pyfunc.load_model("models:/phi3-python@champion")
print(model.predict(input_example))

# %% [markdown]
# Serve it, and ask it over HTTP:

# %%
print("""
slipstream models serve -m models:/phi3-python@champion --port 5002
curl 127.0.0.1:5002/invocations -H 'Content-Type: application/json' -d '{"prompt": "<|system|>You are a stand-up \
comedian.<|end|><|user|>Tell me a joke about atom<|end|><|assistant|>"}'
""")

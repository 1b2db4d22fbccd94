"""Loads a tool, which is a script without an ending, as a module."""
import importlib.machinery
import importlib.util
import os
import sys

TOOLS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")


def load_tool(name):
    sys.dont_write_bytecode = True  # or the cache would lie beside the tool
    path = os.path.join(TOOLS, name)
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"), path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module

"""Checkpoints: named arrays to a file and back, and torch's files read without torch.

    save_tensors, load_tensors, load_metadata     `.safetensors` or `.npz`
    read_torch, read_torch_state_dict             `.pth` or `.pt`, reading only

No file is trusted: whatever it contains, the result is arrays or one `CheckpointError`. See `tensor_files` and
`torch_file` for the conventions, `pickle_scan` for how a hostile pickle is refused.
"""

from refdet.nn.checkpoint.errors import CheckpointError
from refdet.nn.checkpoint.tensor_files import load_metadata, load_tensors, save_tensors
from refdet.nn.checkpoint.torch_file import read_torch, read_torch_state_dict

__all__ = [
    "CheckpointError",
    "load_metadata",
    "load_tensors",
    "read_torch",
    "read_torch_state_dict",
    "save_tensors",
]

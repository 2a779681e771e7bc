

class Network(nn.Module):
    """The network: its modules by name, and which takes what."""

    def __init__(self):
        super().__init__()
{modules}
    def forward(self, x):
        m = self._modules
{lines}
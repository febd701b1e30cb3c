"""Where a model can be traced: as a whole, or else child by child below what cannot be."""

from torch import nn

from normlab.norms import Norm
from normlab.tools.fold.batch_norms import Kept, is_batch_norm
from normlab.tools.fold.call_graph import CallGraph, and_above
from normlab.tools.fold.reach import Reach
from normlab.tools.fold.tracing import Trace, is_layer, traces


class Place:
    """A module that can be traced, at `path`, and the calls on each way through it."""

    def __init__(self, path: str, graphs: list[CallGraph]) -> None:
        self.path = path
        self.graphs = graphs

    def layer_before(self, name: str) -> str:
        """The layer whose output the norm `name` gets, on every way, and nobody else.

        Raises:
            Kept: there is none.
        """
        (layer,) = self._agreed([(g.layer_before(g.only_call(name)),) for g in self._with(name)])
        self._refuse_apart(name, layer)
        return layer

    def layers_after(self, name: str) -> tuple[str, ...]:
        """The layers that get the output of the norm `name`, all of them, on every way.

        Raises:
            Kept: something else gets it.
        """
        layers = self._agreed([g.layers_after(g.only_call(name)) for g in self._with(name)])
        for layer in layers:
            self._refuse_apart(name, layer)
        return layers

    def remove(self, name: str) -> None:
        """The norm `name` gives on what it gets from now on."""
        for graph in self._with(name):
            graph.gone.add(graph.only_call(name))

    def _with(self, name: str) -> list[CallGraph]:
        return [graph for graph in self.graphs if graph.calls(name)]

    def _agreed(self, found: list[tuple[str, ...]]) -> tuple[str, ...]:
        if any(set(layers) != set(found[0]) for layers in found):
            raise Kept("other layers stand beside it for other inputs")
        return found[0]

    def _refuse_apart(self, name: str, layer: str) -> None:
        if any(graph.calls(layer) and not graph.calls(name) for graph in self.graphs):
            raise Kept(f"{layer} is called without it for other inputs")


class Places:
    """Every place of `model` with batch norms, which is left with traces in it: pass a copy.

    untraced: paths of modules that cannot be traced, each with the reason; what they call is
    traced by itself. functions: calls of F.batch_norm.
    """

    def __init__(self, model: nn.Module) -> None:
        self.untraced: dict[str, str] = {}
        self.functions: list[str] = []
        self._model = model
        self._modules = dict(model.named_modules())
        self._names: dict[nn.Module, str] = {module: name for name, module in self._modules.items()}
        self._places: list[Place] = []
        self._reach = Reach()
        self._seen: set[nn.Module] = set()
        self._look_into(model)
        self._order = {
            name: index
            for index, name in enumerate(
                str(node.target)
                for place in self._places
                for graph in place.graphs
                for node in graph.nodes
                if node.op == "call_module"
            )
        }

    def position(self, name: str) -> int:
        """Of the module's call among all; those that are never called come last."""
        return self._order.get(name, len(self._order) + 10**9)

    def _look_into(self, module: nn.Module) -> None:
        leaf = isinstance(module, Norm) or is_batch_norm(module) or is_layer(module)
        # The whole model is traced for its calls of F.batch_norm, too.
        none = module is not self._model and not any(map(is_batch_norm, module.modules()))
        if leaf or none or module in self._seen:
            return
        self._seen.add(module)
        path = self._names[module]
        if type(module).forward is nn.Module.forward:  # a list of modules, which others call
            ways: list[Trace] | str = ""
        else:
            ways = traces(module)
        if type(module).__call__ is not nn.Module.__call__:
            self._reach.read(module, "__call__")
        if isinstance(ways, str):
            if ways:
                self.untraced[path] = ways
                self._reach.read(module)
            for child in module.children():
                self._look_into(child)
            return
        graphs = [CallGraph(self._model, self._renamed(way, module)) for way in ways]
        self._places.append(Place(path, graphs))
        for graph in graphs:
            self.functions += [name for name in graph.functions if name not in self.functions]
        for way in ways:
            for name, reason in way.closed.items():
                # What lies below another one is looked into with it.
                if any(name.startswith(f"{other}.") for other in way.closed):
                    continue
                inner = self._modules[self._own(name, module)]
                if name in way.atoms:
                    self.untraced[self._own(name, module)] = reason
                else:
                    self._look_into(inner)

    def _own(self, name: str, root: nn.Module) -> str:
        """The path in the whole model of what is called `name` below `root`."""
        path: str = self._names[root.get_submodule(name)]
        return path

    def _renamed(self, way: Trace, root: nn.Module) -> Trace:
        for node in way.nodes:
            if node.op == "call_module":
                node.target = self._own(str(node.target), root)
            elif node.op == "get_attr":
                owner, _, tensor = str(node.target).rpartition(".")
                node.target = f"{self._own(owner, root)}.{tensor}".removeprefix(".")
        return Trace(way.nodes, {self._own(name, root): why for name, why in way.closed.items()})

    def of(self, name: str) -> Place:
        """The only place where the module `name` is called.

        Raises:
            Kept: there is none, there are several, or other code calls it, too.
        """
        places = [p for p in self._places if any(graph.calls(name) for graph in p.graphs)]
        if len(places) > 1:
            raise Kept(f"{name} is shared: it is called in {len(places)} places")
        if not places:
            above = [path for path in self.untraced if not path or name.startswith(f"{path}.")]
            if above:
                raise Kept(self.untraced[max(above, key=len)])
            raise Kept("the forward pass does not reach it in the mode that the model is in")
        return places[0]

    def refuse_shared(self, layers: tuple[str, ...], place: Place) -> None:
        """Refuses layers of `place` that are called elsewhere, too; raises Kept."""
        for layer in layers:
            self.of(layer)
            self.refuse_reached(layer, place)

    def refuse_reached(self, name: str, place: Place) -> None:
        """Refuses a module of `place` of which more is seen or called than the place says.

        Raises:
            Kept: it is so, or the code around it cannot be read.
        """
        read = any(name in graph.read for p in self._places for graph in p.graphs)
        if read or self._modules[name] in self._reach.tensors:
            raise Kept(f"the tensors of {name} are used outside it")
        if self._model in self._reach.used:
            raise Kept("the code of the model uses more of it than calls, or cannot be read")
        inside = f"{place.path}." if place.path else ""
        for path in sorted(and_above(name)):
            module = self._modules.get(path)
            if module in self._reach.used:
                raise Kept(f"code that torch.fx cannot trace does more with {path} than to call it")
            if path.startswith(inside) and path != place.path and module in self._reach.called:
                raise Kept(f"code that torch.fx cannot trace calls {path}, too")

    def notes(self, norms: list[str]) -> tuple[str, ...]:
        """For each module that cannot be traced: which of `norms` stay for it, and what helps."""
        notes = []
        for path, reason in self.untraced.items():
            below = [name for name in norms if not path or name.startswith(f"{path}.")]
            if below:
                where = path or "the model itself"
                notes.append(
                    f"{where}: {reason}. What it calls was folded by itself; batch norms "
                    "that its own code calls stay. A forward that asks nothing of the values of "
                    "tensors can be traced: put layer and norm into an nn.Sequential."
                )
        return tuple(notes)

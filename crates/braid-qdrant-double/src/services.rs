//! The services of the protocol: every call is answered from [`work`], [`mod@read`] or [`mod@write`], or
//! not at all.

mod read;
mod work;
mod write;

use std::sync::Arc;

use ::qdrant_client::qdrant::collections_server::Collections;
use ::qdrant_client::qdrant::points_server::Points;
use ::qdrant_client::qdrant::qdrant_server::Qdrant;
use ::qdrant_client::qdrant::*;
use tonic::{Request, Response, Status};

use crate::faults::{Fault, Kind, unavailable};
use crate::state::State;

/// The answers of one server.
#[derive(Clone, Debug)]
pub(crate) struct Services {
    state: Arc<State>,
}

impl Services {
    pub(crate) fn new(state: Arc<State>) -> Self {
        Self { state }
    }

    async fn answer<Q, A>(
        &self,
        kind: Kind,
        request: Request<Q>,
        work: impl FnOnce(&State, Q, Option<Fault>) -> Result<A, Status>,
    ) -> Result<Response<A>, Status> {
        self.state.check_key(&request)?;
        self.state.note_call(kind);
        let fault = self.state.faults.before(kind).await?;
        let answer = work(&self.state, request.into_inner(), fault)?;
        match fault {
            Some(Fault::LostAnswer) => Err(unavailable()),
            _ => Ok(Response::new(answer)),
        }
    }
}

/// Implements a service: calls with the work that answers them, and calls that nobody answers.
macro_rules! service {
    ($service:ident {
        $($call:ident($request:ty) -> $answer:ty = $kind:ident $work:path;)*
    } without {
        $($absent:ident($absent_request:ty) -> $absent_answer:ty;)*
    }) => {
        #[tonic::async_trait]
        impl $service for Services {
            $(async fn $call(
                &self,
                request: Request<$request>,
            ) -> Result<Response<$answer>, Status> {
                self.answer(Kind::$kind, request, $work).await
            })*
            $(async fn $absent(
                &self,
                _: Request<$absent_request>,
            ) -> Result<Response<$absent_answer>, Status> {
                Err(Status::unimplemented(concat!("Braid does not call ", stringify!($absent))))
            })*
        }
    };
}

service!(Points {
    upsert(UpsertPoints) -> PointsOperationResponse = Write write::upsert;
    delete(DeletePoints) -> PointsOperationResponse = Write write::delete;
    set_payload(SetPayloadPoints) -> PointsOperationResponse = Write write::set_payload;
    overwrite_payload(SetPayloadPoints) -> PointsOperationResponse = Write write::overwrite_payload;
    delete_payload(DeletePayloadPoints) -> PointsOperationResponse = Write write::delete_payload;
    create_field_index(CreateFieldIndexCollection) -> PointsOperationResponse = Write work::create_index;
    get(GetPoints) -> GetResponse = Read read::get;
    scroll(ScrollPoints) -> ScrollResponse = Read read::scroll;
    count(CountPoints) -> CountResponse = Read read::count;
    facet(FacetCounts) -> FacetResponse = Read read::facet;
    query(QueryPoints) -> QueryResponse = Query read::query;
    query_batch(QueryBatchPoints) -> QueryBatchResponse = Query read::query_batch;
} without {
    update_vectors(UpdatePointVectors) -> PointsOperationResponse;
    delete_vectors(DeletePointVectors) -> PointsOperationResponse;
    clear_payload(ClearPayloadPoints) -> PointsOperationResponse;
    delete_field_index(DeleteFieldIndexCollection) -> PointsOperationResponse;
    create_vector_name(CreateVectorNameRequest) -> PointsOperationResponse;
    delete_vector_name(DeleteVectorNameRequest) -> PointsOperationResponse;
    search(SearchPoints) -> SearchResponse;
    search_batch(SearchBatchPoints) -> SearchBatchResponse;
    search_groups(SearchPointGroups) -> SearchGroupsResponse;
    recommend(RecommendPoints) -> RecommendResponse;
    recommend_batch(RecommendBatchPoints) -> RecommendBatchResponse;
    recommend_groups(RecommendPointGroups) -> RecommendGroupsResponse;
    discover(DiscoverPoints) -> DiscoverResponse;
    discover_batch(DiscoverBatchPoints) -> DiscoverBatchResponse;
    update_batch(UpdateBatchPoints) -> UpdateBatchResponse;
    query_groups(QueryPointGroups) -> QueryGroupsResponse;
    search_matrix_pairs(SearchMatrixPoints) -> SearchMatrixPairsResponse;
    search_matrix_offsets(SearchMatrixPoints) -> SearchMatrixOffsetsResponse;
});

service!(Collections {
    get(GetCollectionInfoRequest) -> GetCollectionInfoResponse = Read work::info;
    list(ListCollectionsRequest) -> ListCollectionsResponse = Read work::list;
    create(CreateCollection) -> CollectionOperationResponse = Write work::create;
    delete(DeleteCollection) -> CollectionOperationResponse = Write work::remove;
} without {
    update(UpdateCollection) -> CollectionOperationResponse;
    update_aliases(ChangeAliases) -> CollectionOperationResponse;
    list_collection_aliases(ListCollectionAliasesRequest) -> ListAliasesResponse;
    list_aliases(ListAliasesRequest) -> ListAliasesResponse;
    collection_cluster_info(CollectionClusterInfoRequest) -> CollectionClusterInfoResponse;
    collection_exists(CollectionExistsRequest) -> CollectionExistsResponse;
    update_collection_cluster_setup(UpdateCollectionClusterSetupRequest) -> UpdateCollectionClusterSetupResponse;
    create_shard_key(CreateShardKeyRequest) -> CreateShardKeyResponse;
    delete_shard_key(DeleteShardKeyRequest) -> DeleteShardKeyResponse;
    list_shard_keys(ListShardKeysRequest) -> ListShardKeysResponse;
});

service!(Qdrant {
    health_check(HealthCheckRequest) -> HealthCheckReply = Read work::health;
} without {});
